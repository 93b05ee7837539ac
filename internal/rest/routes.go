package rest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"

	"github.com/gatehouse/gatehouse/internal/contract"
)

// Route is one public path and verb: a method of a contract, or a document of the gateway's own.
type Route struct {
	Pattern string           // path template, such as "/api/v1/users/{id}"
	Verb    string           // "GET", "POST", "PATCH", …
	Method  *contract.Method // nil for a door's own documents
	own     http.Handler     // set when Method is nil
	shape   shape            // what the request may carry
}

// Public reports whether the route needs no token.
func (r *Route) Public() bool { return r.Method == nil || r.Method.Has(contract.Public) }

// Credentials reports whether somebody could guess there what people choose: the route may change
// something, and needs no token or asks for a secret beside it, such as the old password. What
// programs send to a web exchange nobody guesses.
func (r *Route) Credentials() bool {
	m := r.Method
	return m != nil && !m.ReadOnly && m.Visitors != contract.ByPrograms && (m.Has(contract.Public) || len(m.Audit.Secret) > 0)
}

// exchange reports whether the route is a web exchange.
func (r *Route) exchange() bool { return r.Method != nil && r.Method.Exchange }

// Errors of Handler.find.
var (
	errNoPath = errors.New("no such path")
	errNoVerb = errors.New("no such verb on this path")
)

// routes are those of a door, by verb and path template. grpc-gateway's mux, which holds the
// generated handlers, matches each request to them once: the route whose policy the chain enforces
// is the route that is served.
type routes struct {
	verbs    []string // all verbs in use, sorted
	by       map[string]*Route
	visitors map[string]contract.Visitors // of web exchanges, by path
}

// newRoutes makes the routes of the methods that have one and of the door's own documents (by path;
// they answer GET).
func newRoutes(methods []*contract.Method, own map[string]http.Handler) (*routes, error) {
	all := &routes{by: map[string]*Route{}, visitors: map[string]contract.Visitors{}}
	for _, m := range methods {
		if m.Route == nil {
			continue
		}
		if m.Exchange {
			all.visitors[m.Route.Path] = m.Visitors
			all.add(&Route{Pattern: m.Route.Path, Verb: m.Route.Verb, Method: m})
			continue
		}
		shape, err := shapeOf(m)
		if err != nil {
			return nil, fmt.Errorf("route of %s: %w", m.FullName, err)
		}
		all.add(&Route{Pattern: m.Route.Path, Verb: m.Route.Verb, Method: m, shape: shape})
	}
	for path, handler := range own {
		all.add(&Route{Pattern: path, Verb: http.MethodGet, own: handler})
	}
	return all, nil
}

func (all *routes) add(route *Route) {
	all.by[route.Verb+" "+whole(route.Pattern)] = route
	if !slices.Contains(all.verbs, route.Verb) {
		all.verbs = append(all.verbs, route.Verb)
		slices.Sort(all.verbs)
	}
}

// whole is a path template as the mux writes it: "/v1/{id}" says the same as "/v1/{id=*}".
func whole(template string) string {
	for _, name := range pathFields(template) {
		template = strings.Replace(template, "{"+name+"}", "{"+name+"=*}", 1)
	}
	return template
}

// found is the route of one request, and how it is served.
type found struct {
	*Route
	serve  runtime.HandlerFunc // generated
	params map[string]string   // what the path says
}

// finder is the response writer through which the matched route comes out of the mux.
type finder struct{ found }

// Header is part of http.ResponseWriter; nothing is ever written.
func (f *finder) Header() http.Header { return http.Header{} }

// Write is part of http.ResponseWriter; nothing is ever written.
func (f *finder) Write(b []byte) (int, error) { return len(b), nil }

// WriteHeader is part of http.ResponseWriter; nothing is ever written.
func (f *finder) WriteHeader(int) {}

// caught tells a finder what the mux has matched, instead of serving it.
func (all *routes) caught(serve runtime.HandlerFunc) runtime.HandlerFunc {
	var route atomic.Pointer[Route] // always the same one
	return func(w http.ResponseWriter, r *http.Request, params map[string]string) {
		f, ok := w.(*finder)
		if !ok {
			return
		}
		if route.Load() == nil {
			pattern, _ := runtime.HTTPPattern(r.Context())
			route.Store(all.by[r.Method+" "+pattern.String()])
		}
		f.found = found{Route: route.Load(), serve: serve, params: params}
	}
}

// find returns the route of a request; HEAD is answered as GET. Otherwise the error is errNoPath, or errNoVerb with the verbs that
// the path has (RFC 9110, section 15.5.6).
func (h *Handler) find(r *http.Request) (route *found, allow []string, err error) {
	if strings.HasPrefix(r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:], ":") { // the mux takes it for a verb of nothing, or not, by verb
		return nil, nil, errNoPath
	}
	verb := r.Method
	if verb == http.MethodHead {
		verb = http.MethodGet
	}
	if route := h.match(r, verb); route != nil {
		return route, nil, nil
	}
	for _, verb := range h.routes.verbs {
		if h.match(r, verb) == nil {
			continue
		}
		allow = append(allow, verb)
		if verb == http.MethodGet {
			allow = append(allow, http.MethodHead)
		}
	}
	if len(allow) == 0 {
		return nil, nil, errNoPath
	}
	return nil, allow, errNoVerb
}

func (h *Handler) match(r *http.Request, verb string) *found {
	var f finder
	h.mux.ServeHTTP(&f, &http.Request{Method: verb, URL: r.URL})
	if f.Route == nil {
		return nil
	}
	return &f.found
}

type routeKey struct{}

// withRoute returns a context that carries the route of the request.
func withRoute(ctx context.Context, route *found) context.Context {
	return context.WithValue(ctx, routeKey{}, route)
}

func foundIn(ctx context.Context) *found {
	route, _ := ctx.Value(routeKey{}).(*found)
	return route
}

// RouteFrom returns the route of the request; nil before it was found.
func RouteFrom(ctx context.Context) *Route {
	if route := foundIn(ctx); route != nil {
		return route.Route
	}
	return nil
}
