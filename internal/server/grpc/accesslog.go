package grpcserver

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

// maxMethod bounds what is logged of a method's name, in bytes: anybody may call anything.
const maxMethod = 200

// logCall writes the line of a call: what, by whom, how it ended, how long it took. Request id and
// trace id come from the context. A failure that is ours to fix is logged here, once, with its
// cause.
func logCall(ctx context.Context, log *slog.Logger, c *rpc, code codes.Code, took time.Duration) {
	at := level(c, code)
	if !log.Enabled(ctx, at) {
		return
	}
	attrs := append(make([]slog.Attr, 0, 7),
		slog.String("method", c.method[:min(len(c.method), maxMethod)]),
		slog.String("code", code.String()),
		slog.Float64("duration_ms", float64(took.Microseconds())/1000))
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
	log.LogAttrs(ctx, at, "grpc request", attrs...)
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
