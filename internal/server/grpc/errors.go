package grpcserver

import (
	"context"
	"errors"

	"google.golang.org/grpc"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/rpcstatus"
)

// mapErrors turns the error of a call into the status that the client sees, with what the calling
// program's retries should make of it.
func mapErrors(p Params) middleware {
	return middleware{around: func(ctx context.Context, c *rpc, next func(context.Context) error) error {
		err := next(ctx)
		var own *apierr.Error
		if err == nil || c.infra && !errors.As(err, &own) { // health and reflection answer with statuses of gRPC
			return err
		}
		c.failure = rpcstatus.Classify(ctx, err)
		if md := pushback(ctx, c.failure, p.Now); md != nil {
			_ = grpc.SetTrailer(ctx, md) // cannot fail before the end
		}
		return rpcstatus.FromError(c.failure).Err()
	}}
}
