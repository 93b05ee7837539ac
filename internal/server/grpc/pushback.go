package grpcserver

import (
	"context"
	"errors"
	"strconv"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

// pushback is what the calling program's retries are told of an UNAVAILABLE answer (gRFC A6): to
// come again after as long as its RetryInfo says, or never. Never, where this program has asked
// another one in vain or has waited already, as the attempts would multiply with every hop; and
// where the call would not last until then, since the caller would hear of its deadline instead of
// this.
func pushback(ctx context.Context, e *apierr.Error, now func() time.Time) metadata.MD {
	if e.Kind != apierr.Unavailable {
		return nil
	}
	until, bounded := ctx.Deadline()
	switch {
	case triedBelow(e), bounded && until.Sub(now()) <= e.RetryAfter:
		return metadata.Pairs("grpc-retry-pushback-ms", "-1")
	case e.RetryAfter > 0:
		return metadata.Pairs("grpc-retry-pushback-ms", strconv.FormatInt(e.RetryAfter.Milliseconds(), 10))
	}
	return nil
}

// triedBelow reports whether the cause is another program's answer, whose client has tried as often
// as it should, or a wait of this one.
func triedBelow(e *apierr.Error) bool {
	var (
		answer interface{ GRPCStatus() *status.Status }
		said   *apierr.Error // an answer that an adapter has translated
	)
	cause := errors.Unwrap(e)
	return e.Is(apierr.AuthzUnavailable()) || e.Is(apierr.NotFreshEnough()) ||
		errors.As(cause, &answer) || errors.As(cause, &said)
}
