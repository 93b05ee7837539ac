package middleware

import (
	"log/slog"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/trace"

	httpserver "github.com/gatehouse/gatehouse/internal/server/http"
)

// longest is how many characters of a client's own text a log line repeats.
const longest = 200

// accessLog writes one line a request, refused ones too. The query is left out: clients put secrets there.
func accessLog(log *slog.Logger, now func() time.Time) step {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			x, began, agent := exchangeOf(r.Context()), now(), r.UserAgent()
			panicked := true
			defer func() {
				status := x.status
				if panicked && status == 0 {
					status = http.StatusInternalServerError // recoverPanic answers it
				}
				attrs := []slog.Attr{
					slog.String("method", cut(r.Method)), slog.String("path", cut(r.URL.Path)), slog.String("route", x.pattern()),
					slog.Int("status", status), slog.Int64("bytes", x.bytes),
					slog.Float64("duration_ms", float64(now().Sub(began).Microseconds())/1000),
					slog.String("client", x.client.String()), slog.String("user_agent", cut(agent)), slog.String("subject", x.subject),
				}
				if x.clientID != "" {
					attrs = append(attrs, slog.String("client_request_id", x.clientID))
				}
				level := slog.LevelInfo
				if x.failure != nil {
					attrs = append(attrs, slog.String("error", x.failure.Error())) // with the cause, which the client was not told
				}
				if status >= http.StatusInternalServerError {
					level = slog.LevelWarn
				}
				ctx := trace.ContextWithSpanContext(r.Context(), x.span)
				log.LogAttrs(ctx, level, "request", attrs...)
			}()
			next.ServeHTTP(w, r)
			panicked = false
		})
	}
}

func cut(text string) string { return httpserver.Shorten(text, longest) }
