package grpcserver

import (
	"context"
	"errors"
	"log/slog"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/request"
)

// requestID takes over the id that the calling program gave the request, or makes one, and tells the caller.
func requestID(Params) middleware {
	return middleware{around: func(ctx context.Context, _ *rpc, next func(context.Context) error) error {
		var id string
		if values := metadata.ValueFromIncomingContext(ctx, request.IDHeader); len(values) == 1 && request.ValidID(values[0]) {
			id = values[0]
		} else {
			id = uuid.NewString()
		}
		// In the trailer: a client tries no call again that was answered with a header (gRFC A6). It cannot fail before the end.
		_ = grpc.SetTrailer(ctx, metadata.Pairs(request.IDHeader, id))
		return next(request.WithID(ctx, id))
	}}
}

// accessLog writes one line for each call: what, by whom, how it ended, how long it took. Request
// id and trace id come from the context. A failure that is ours to fix is logged here, once, with
// its cause.
func accessLog(p Params) middleware {
	return middleware{around: func(ctx context.Context, c *rpc, next func(context.Context) error) error {
		began := p.Now()
		err := next(ctx)
		code := status.Code(err)
		attrs := []slog.Attr{
			slog.String("method", c.method),
			slog.String("code", code.String()),
			slog.Float64("duration_ms", float64(p.Now().Sub(began).Microseconds())/1000),
		}
		if c.service != "" {
			attrs = append(attrs, slog.String("caller", c.service))
		}
		if c.who != nil {
			attrs = append(attrs, slog.String("subject", c.who.UserID))
		}
		if c.failure != nil {
			attrs = append(attrs, slog.String("reason", c.failure.Reason))
			if cause := errors.Unwrap(c.failure); cause != nil {
				attrs = append(attrs, slog.String("cause", cause.Error()))
			}
		}
		p.Log.LogAttrs(ctx, level(c, code), "grpc request", attrs...)
		return err
	}}
}

func level(c *rpc, code codes.Code) slog.Level {
	switch {
	case c.infra:
		return slog.LevelDebug
	case c.failure != nil && c.failure.Kind == apierr.Internal, code == codes.Unknown, code == codes.Internal:
		return slog.LevelError
	case code == codes.Unavailable, code == codes.DeadlineExceeded:
		return slog.LevelWarn
	default:
		return slog.LevelInfo
	}
}
