// Package logging makes the logger of a program: slog, JSON, one object a line.
//
// Every line that is logged with a request's context carries its request id and trace id. Attributes whose name says "secret" are
// replaced before they are written. Everybody may import it; domain packages take a *slog.Logger instead.
package logging

import (
	"context"
	"io"
	"log/slog"
	"strings"

	"go.opentelemetry.io/otel/trace"

	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/visible"
)

// Config is the option group of the log.
type Config struct {
	Level string `name:"log-level" env:"GATEHOUSE_LOG_LEVEL" enum:"debug,info,warn,error" default:"info" help:"Least severe level that is logged: debug, info, warn or error."`
}

// Validate reports contradictions.
func (c Config) Validate() error { return nil }

// New returns a logger that writes to w. JSON escapes line breaks, so that no input can forge a
// line, and leaves alone what a terminal obeys beyond ASCII: that is escaped here (R92).
func New(c Config, w io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		level = slog.LevelInfo // kong has refused other words already; a zero Config means info
	}
	return slog.New(handler{slog.NewJSONHandler(visible.NewWriter(w), &slog.HandlerOptions{Level: level, ReplaceAttr: redact})})
}

type attrsKey struct{}

// With returns a context whose log lines carry these attributes too.
func With(ctx context.Context, attrs ...slog.Attr) context.Context {
	before, _ := ctx.Value(attrsKey{}).([]slog.Attr)
	return context.WithValue(ctx, attrsKey{}, append(before[:len(before):len(before)], attrs...))
}

// handler adds what the context knows to each record.
type handler struct{ slog.Handler }

// Handle adds request id, trace id and the attributes of With.
func (h handler) Handle(ctx context.Context, record slog.Record) error {
	if id := request.ID(ctx); id != "" {
		record.AddAttrs(slog.String("request_id", id))
	}
	if span := trace.SpanContextFromContext(ctx); span.HasTraceID() {
		record.AddAttrs(slog.String("trace_id", span.TraceID().String()))
	}
	if attrs, ok := ctx.Value(attrsKey{}).([]slog.Attr); ok {
		record.AddAttrs(attrs...)
	}
	return h.Handler.Handle(ctx, record)
}

// WithAttrs keeps the context attributes in derived loggers.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.Handler.WithAttrs(attrs)}
}

// WithGroup keeps the context attributes in derived loggers; they land inside the group.
func (h handler) WithGroup(name string) slog.Handler { return handler{h.Handler.WithGroup(name)} }

// redact is the last net: an attribute with such a name is a defect of its caller, and still does not reach the log.
func redact(_ []string, attr slog.Attr) slog.Attr {
	if attr.Key == slog.LevelKey {
		if level, ok := attr.Value.Any().(slog.Level); ok {
			return slog.String(attr.Key, level.String()) // as it is written anyway; slog would marshal it by reflection
		}
		return attr
	}
	name := strings.ToLower(attr.Key)
	for _, word := range []string{"password", "secret", "authorization", "cookie", "access_token", "refresh_token", "private_key"} {
		if strings.Contains(name, word) {
			return slog.String(attr.Key, "[redacted]")
		}
	}
	return attr
}
