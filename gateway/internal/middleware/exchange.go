package middleware

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/gatehouse/gatehouse/internal/rest"
	"github.com/gatehouse/gatehouse/internal/token"
)

// exchange is the state of one request in the chain, and the writer that sees its response. Only
// the goroutine of the request touches it.
type exchange struct {
	http.ResponseWriter
	status int   // 0 until the header is written
	bytes  int64 // of the body

	clientID string // what the client calls the request; empty if it does not, or unlike an id

	client  netip.Addr // who the limits and the log say it is; invalid if the peer has no IP address
	route   *rest.Route
	subject string            // of the verified token
	expires time.Time         // of the verified token
	span    trace.SpanContext // for the log
	failure error             // what a refused or failed request was answered with, for the log
}

// WriteHeader notes the status. Informational ones come before the response.
func (x *exchange) WriteHeader(status int) {
	if x.status == 0 && status >= http.StatusOK {
		x.status = status
	}
	x.ResponseWriter.WriteHeader(status)
}

// Write notes the length.
func (x *exchange) Write(b []byte) (int, error) {
	if x.status == 0 {
		x.status = http.StatusOK
	}
	n, err := x.ResponseWriter.Write(b)
	x.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// pattern is the route for metrics and spans: bounded, whatever clients ask for.
func (x *exchange) pattern() string {
	if x.route == nil {
		return "none"
	}
	return x.route.Pattern
}

// signedIn notes whose token it is.
func signedIn(ctx context.Context, claims token.Claims) {
	x := exchangeOf(ctx)
	x.subject, x.expires = claims.Subject, claims.ExpiresAt
}

// routed notes the route that was found.
func routed() step {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			exchangeOf(r.Context()).route = rest.RouteFrom(r.Context())
			next.ServeHTTP(w, r)
		})
	}
}

type exchangeKey struct{}

// exchangeOf returns the exchange of the request, which requestID has made.
func exchangeOf(ctx context.Context) *exchange {
	x, _ := ctx.Value(exchangeKey{}).(*exchange)
	return x
}
