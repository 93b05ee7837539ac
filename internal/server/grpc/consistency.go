package grpcserver

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/gatehouse/gatehouse/internal/consistency"
)

// consistencyToken hands the request's token on to whatever reads, and the token of what the request wrote back in the trailer. A
// request has at most one.
func consistencyToken() middleware {
	return middleware{around: func(ctx context.Context, c *call, next func(context.Context) error) error {
		if c.infra {
			return next(ctx)
		}
		if values := metadata.ValueFromIncomingContext(ctx, consistency.Key); len(values) > 0 {
			text := values[0]
			if len(values) > 1 {
				text = "" // no token either
			}
			if _, err := consistency.Parse(text); err != nil {
				return err
			}
			ctx = consistency.NewContext(ctx, text)
		}
		ctx, answer := consistency.WithAnswer(ctx)
		err := next(ctx)
		if token := answer(); token != "" {
			_ = grpc.SetTrailer(ctx, metadata.Pairs(consistency.Key, token)) // cannot fail before the end
		}
		return err
	}}
}
