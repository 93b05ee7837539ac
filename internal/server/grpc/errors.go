package grpcserver

import (
	"context"
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/gatehouse/gatehouse/internal/access"
	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/rpcstatus"
)

// mapErrors turns the error of a call into the status that the client sees. A call that was
// answered after asking again, or waiting, is not tried again by the calling program (gRFC A6):
// with every hop the attempts would multiply.
func mapErrors() middleware {
	return middleware{around: func(ctx context.Context, c *rpc, next func(context.Context) error) error {
		err := next(ctx)
		var own *apierr.Error
		if err == nil || c.infra && !errors.As(err, &own) { // health and reflection answer with statuses of gRPC
			return err
		}
		c.failure = rpcstatus.Classify(ctx, err)
		if c.failure.Reason == access.ReasonUndecided || c.failure.Reason == access.ReasonNotFresh {
			_ = grpc.SetTrailer(ctx, metadata.Pairs("grpc-retry-pushback-ms", "-1")) // cannot fail before the end
		}
		return rpcstatus.FromError(c.failure).Err()
	}}
}
