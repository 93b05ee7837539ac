package rpcstatus

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

// FromCallee is the one rule for what another program answered: a reason that the caller knows
// passes, with its fields; that the callee cannot be had, or does not answer in time, is
// unavailable; everything else is a defect, because nobody foresaw it. The end of the request's own
// context stays what it is. A nil error is nil.
func FromCallee(ctx context.Context, err error, unavailable *apierr.Error, known ...*apierr.Error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("call another program: %w", ctx.Err())
	}
	var e *apierr.Error
	if !errors.As(err, &e) {
		e = ToError(status.Convert(err))
	}
	for _, k := range known {
		if e.Is(k) {
			return e
		}
	}
	switch e.Kind {
	case apierr.Unavailable, apierr.DeadlineExceeded, apierr.Canceled, apierr.ResourceExhausted:
		return unavailable.Because(err)
	default:
		return apierr.InternalError().Because(err)
	}
}
