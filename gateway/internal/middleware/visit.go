package middleware

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/gatehouse/gatehouse/gateway/internal/rest"
)

// visit is what the chain learns about one request, and the writer that sees its answer. Only the request's goroutine touches it.
type visit struct {
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

// WriteHeader notes the status. Informational ones come before the answer.
func (v *visit) WriteHeader(status int) {
	if v.status == 0 && status >= http.StatusOK {
		v.status = status
	}
	v.ResponseWriter.WriteHeader(status)
}

// Write notes the length.
func (v *visit) Write(b []byte) (int, error) {
	if v.status == 0 {
		v.status = http.StatusOK
	}
	n, err := v.ResponseWriter.Write(b)
	v.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (v *visit) Unwrap() http.ResponseWriter { return v.ResponseWriter }

// pattern is the route for metrics and spans: bounded, whatever clients ask for.
func (v *visit) pattern() string {
	if v.route == nil {
		return "none"
	}
	return v.route.Pattern
}

type visitKey struct{}

// visitOf returns the visit of the request, which requestID has made.
func visitOf(ctx context.Context) *visit {
	v, _ := ctx.Value(visitKey{}).(*visit)
	return v
}
