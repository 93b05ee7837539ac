package grpcserver

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"time"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/ratelimit"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/rest"
)

// visit is one request at the door, and the writer that sees its response.
type visit struct {
	http.ResponseWriter
	status  int // 0 until the header is written
	failure error
}

// WriteHeader notes the status. Informational ones come before the response.
func (v *visit) WriteHeader(status int) {
	if v.status == 0 && status >= http.StatusOK {
		v.status = status
	}
	v.ResponseWriter.WriteHeader(status)
}

// Write notes that the response has begun.
func (v *visit) Write(b []byte) (int, error) {
	if v.status == 0 {
		v.status = http.StatusOK
	}
	return v.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (v *visit) Unwrap() http.ResponseWriter { return v.ResponseWriter }

// visited names a request with a fresh id, writes its line, and turns a panic into a 500 (R62). The
// query is left out of the line: clients put secrets there.
func visited(p Params, newID func() string) rest.Step {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			id, peer, v, began := newID(), peerAddress(r), &visit{ResponseWriter: w}, p.Now()
			w.Header().Set(rest.RequestID, id)
			ctx := request.WithClient(request.WithID(r.Context(), id), request.NewClient(peer, r.UserAgent(), r.Header.Get("Accept-Language")))
			r = r.WithContext(rest.WithNote(ctx, &v.failure))
			defer func() {
				cut := v.recover(p.Log, r, recover())
				v.tell(p.Log, r, p.Now().Sub(began))
				if cut {
					panic(http.ErrAbortHandler)
				}
			}()
			next.ServeHTTP(v, r)
		})
	}
}

// recover answers for what panicked; cut is whether the connection has to end instead, because the
// response has begun.
func (v *visit) recover(log *slog.Logger, r *http.Request, panicked any) (cut bool) {
	switch {
	case panicked == nil:
		return false
	case panicked == http.ErrAbortHandler: //nolint:errorlint // net/http compares the panic value itself
		return true
	}
	log.ErrorContext(r.Context(), "panic", "panic", fmt.Sprint(panicked), "stack", string(debug.Stack()))
	if v.status != 0 {
		return true
	}
	v.Header().Set("Connection", "close")
	rest.Fail(v, r, apierr.InternalError())
	return false
}

func (v *visit) tell(log *slog.Logger, r *http.Request, took time.Duration) {
	attrs := []slog.Attr{
		slog.String("method", rest.Echo(r.Method)), slog.String("path", rest.Echo(r.URL.Path)), slog.Int("status", v.status),
		slog.Float64("duration_ms", float64(took.Microseconds())/1000),
	}
	level := slog.LevelInfo
	if v.failure != nil {
		attrs = append(attrs, slog.String("error", v.failure.Error())) // with the cause, which the client was not told
	}
	if v.status >= http.StatusInternalServerError {
		level = slog.LevelWarn
	}
	log.LogAttrs(r.Context(), level, "rest request", attrs...)
}

func peerAddress(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return peer.Addr().Unmap().WithZone("")
}

// slowly limits requests that take credentials, by route and peer: a burst of one kind does not
// lock the peer out of the others.
func slowly(p Params, guesses *ratelimit.Buckets) rest.Step {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if route := rest.RouteFrom(r.Context()); route.Credentials() {
				key := route.Verb + " " + route.Pattern + " " + ratelimit.Network(peerAddress(r))
				if wait := guesses.Take(key, p.Now()); wait > 0 {
					rest.Fail(w, r, rest.TooMany("clientip", wait))
					return
				}
			}
			next.ServeHTTP(w, r)
		})
	}
}
