package grpcserver

import (
	"context"
	"errors"
	"time"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/contract"
)

// deadline bounds a call by its contract's timeout, whatever the client asked for. Long-lived
// streams have none. All streams, those of health and reflection too, end when the server drains:
// who streams can go on elsewhere, and nobody is sent here for the drain's delay before that.
func deadline(draining context.Context) middleware {
	stopping := apierr.ShuttingDown().WithRetryAfter(time.Second)
	return middleware{around: func(ctx context.Context, c *rpc, next func(context.Context) error) error {
		if limit := c.limit(); limit > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, limit)
			defer cancel()
		}
		if !c.stream {
			return next(ctx)
		}
		ctx, end := context.WithCancelCause(ctx)
		defer end(nil)
		defer context.AfterFunc(draining, func() { end(stopping) })()
		return because(ctx, next(ctx))
	}}
}

// limit is how long the call may take; 0 means that nothing but its client and the server ends it.
func (c *rpc) limit() time.Duration {
	switch {
	case c.infra, c.policy != nil && c.policy.LongLived:
		return 0
	case c.policy != nil && c.policy.Timeout > 0:
		return min(c.policy.Timeout, contract.MaxTimeout)
	default:
		return contract.DefaultTimeout
	}
}

// because replaces the error of an ended context by the reason why we ended it, if it was us.
func because(ctx context.Context, err error) error {
	var cause *apierr.Error
	if err != nil && ctx.Err() != nil && errors.As(context.Cause(ctx), &cause) {
		return cause
	}
	return err
}
