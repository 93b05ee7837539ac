package grpcserver

import (
	"context"
	"errors"

	"google.golang.org/grpc"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/rpcstatus"
	"github.com/gatehouse/gatehouse/internal/web"
)

// mapErrors turns the error of a call into the status that the client sees, with what the calling
// program's retries should make of it. A web exchange that refuses has a response of its own, which
// is sent; what is told of the call at its end is the refusal.
func mapErrors(p Params) middleware {
	return middleware{around: func(ctx context.Context, c *rpc, next func(context.Context) error) error {
		err := next(ctx)
		var own *apierr.Error
		if err == nil || c.infra && !errors.As(err, &own) { // health and reflection answer with statuses of gRPC
			return err
		}
		c.failure = rpcstatus.Classify(ctx, err)
		if refused := (*web.Refusal)(nil); errors.As(err, &refused) {
			c.run.resp = refused.Response
			return nil
		}
		if md := pushback(ctx, c.failure, p.Now); md != nil {
			_ = grpc.SetTrailer(ctx, md) // cannot fail before the end
		}
		return rpcstatus.FromError(c.failure).Err()
	}}
}
