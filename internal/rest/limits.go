package rest

import (
	"context"
	"io"
	"net/http"

	"github.com/gatehouse/gatehouse/internal/apierr"
	httpserver "github.com/gatehouse/gatehouse/internal/server/http"
	"github.com/gatehouse/gatehouse/internal/web"
)

// patience is how many times the limit a refused body is read on before its connection is cut.
const patience = 4

// LimitBody refuses a body that says it is too large (413) and cuts off one that turns out to be.
// Of a stream of lines it bounds each line; forms have a bound of their own.
func LimitBody(most int64) Step {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			limit := most
			if VisitorsOf(r.Context()) != 0 {
				limit = min(most, web.MaxForm)
			}
			if route := RouteFrom(r.Context()); route != nil && route.Lines() {
				next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), lineLimitKey{}, int(limit))))
				return
			}
			if r.ContentLength > limit {
				Fail(w, r, TooLarge(limit))
				if r.ProtoMajor == 1 && r.Header.Get("Expect") == "" {
					// A client that is cut while it writes may never read why: it gets the
					// response, and some more of the body is taken and thrown away. Who waits for
					// 100 Continue sends nothing.
					_ = http.NewResponseController(w).Flush()
					_, _ = io.CopyN(io.Discard, r.Body, patience*limit)
				}
				return
			}
			if r.Body != nil && r.Body != http.NoBody {
				r.Body = http.MaxBytesReader(w, r.Body, limit)
			}
			next.ServeHTTP(w, r)
		})
	}
}

// limitURI refuses a request target that is too long.
func limitURI() Step {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if len(r.RequestURI) > httpserver.MaxURILength {
				Fail(w, r, &Closing{apierr.URITooLong()})
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}
