package grpcserver

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/gatehouse/gatehouse/internal/request"
)

// consistencyToken hands the request's token on to whatever reads, and the token of what the request wrote back in the trailer. A
// request has at most one.
func consistencyToken() middleware {
	return middleware{around: func(ctx context.Context, c *rpc, next func(context.Context) error) error {
		if c.infra {
			return next(ctx)
		}
		if values := c.header[request.ConsistencyHeader]; len(values) > 0 {
			text := values[0]
			if len(values) > 1 {
				text = "" // no token either
			}
			if _, err := request.ParseToken(text); err != nil {
				return err
			}
			c.SetConsistency(text)
		}
		err := next(ctx)
		if token := c.Written(); token != "" {
			_ = grpc.SetTrailer(ctx, metadata.Pairs(request.ConsistencyHeader, token)) // cannot fail before the end
		}
		return err
	}}
}
