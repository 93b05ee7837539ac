package grpcserver

import (
	"context"
	"errors"
	"time"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/contract"
)

// deadline bounds a call by its contract's timeout, whatever the client asked for. A long-lived stream has no deadline and ends when
// the server drains instead.
func deadline(_ Params, draining context.Context) middleware {
	stopping := apierr.New(apierr.Unavailable, "SHUTTING_DOWN", "the program is stopping: call again").WithRetryAfter(time.Second)
	return middleware{around: func(ctx context.Context, c *rpc, next func(context.Context) error) error {
		switch {
		case c.infra:
			return next(ctx)
		case c.policy != nil && c.policy.LongLived:
			ctx, cancel := context.WithCancelCause(ctx)
			defer cancel(nil)
			defer context.AfterFunc(draining, func() { cancel(stopping) })()
			return because(ctx, next(ctx))
		}
		limit := contract.DefaultTimeout
		if c.policy != nil && c.policy.Timeout > 0 {
			limit = min(c.policy.Timeout, contract.MaxTimeout)
		}
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		return next(ctx)
	}}
}

// because replaces the error of an ended context by the reason why we ended it, if it was us.
func because(ctx context.Context, err error) error {
	var cause *apierr.Error
	if err != nil && ctx.Err() != nil && errors.As(context.Cause(ctx), &cause) {
		return cause
	}
	return err
}
