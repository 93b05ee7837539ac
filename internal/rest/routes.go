package rest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

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

// Credentials reports whether the route takes credentials from anybody: it needs no token and may change something.
func (r *Route) Credentials() bool {
	return r.Method != nil && r.Method.Has(contract.Public) && !r.Method.ReadOnly
}

// Errors of Table.Find.
var (
	ErrNoPath = errors.New("no such path")
	ErrNoVerb = errors.New("no such verb on this path")
)

// Table finds the route of a request. It matches with grpc-gateway's own mux, so that the route whose policy the chain enforces is
// the route that is served.
type Table struct {
	mux    *runtime.ServeMux
	verbs  []string // all verbs in use, sorted
	routes []*Route
}

// NewTable makes the table of the methods that have a route and of the door's own documents (by path; they answer GET).
func NewTable(methods []*contract.Method, own map[string]http.Handler) (*Table, error) {
	t := &Table{mux: runtime.NewServeMux(
		runtime.WithDisablePathLengthFallback(),
		runtime.WithDisableHTTPMethodOverride(),
		runtime.WithRoutingErrorHandler(
			func(context.Context, *runtime.ServeMux, runtime.Marshaler, http.ResponseWriter, *http.Request, int) {}),
		runtime.WithErrorHandler(
			func(context.Context, *runtime.ServeMux, runtime.Marshaler, http.ResponseWriter, *http.Request, error) {
			}),
	)}
	for _, m := range methods {
		if m.Route == nil {
			continue
		}
		shape, err := shapeOf(m)
		if err != nil {
			return nil, fmt.Errorf("route of %s: %w", m.FullName, err)
		}
		if err := t.add(&Route{Pattern: m.Route.Path, Verb: m.Route.Verb, Method: m, shape: shape}); err != nil {
			return nil, err
		}
	}
	for path, handler := range own {
		if err := t.add(&Route{Pattern: path, Verb: http.MethodGet, own: handler}); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (t *Table) add(route *Route) error {
	handle := func(w http.ResponseWriter, _ *http.Request, _ map[string]string) {
		if f, ok := w.(*finder); ok {
			f.route = route
		}
	}
	if err := t.mux.HandlePath(route.Verb, route.Pattern, handle); err != nil {
		return fmt.Errorf("route %s %s: %w", route.Verb, route.Pattern, err)
	}
	if !slices.Contains(t.verbs, route.Verb) {
		t.verbs = append(t.verbs, route.Verb)
		slices.Sort(t.verbs)
	}
	t.routes = append(t.routes, route)
	return nil
}

// Routes lists every route.
func (t *Table) Routes() []*Route { return slices.Clone(t.routes) }

// Find returns the route of a request; HEAD is answered as GET. Otherwise the error is ErrNoPath, or ErrNoVerb with the verbs that
// the path has (RFC 9110, section 15.5.6).
func (t *Table) Find(r *http.Request) (route *Route, allow []string, err error) {
	if strings.HasPrefix(r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:], ":") { // the mux takes it for a verb of nothing, or not, by verb
		return nil, nil, ErrNoPath
	}
	verb := r.Method
	if verb == http.MethodHead {
		verb = http.MethodGet
	}
	if route := t.match(r, verb); route != nil {
		return route, nil, nil
	}
	for _, verb := range t.verbs {
		if t.match(r, verb) == nil {
			continue
		}
		allow = append(allow, verb)
		if verb == http.MethodGet {
			allow = append(allow, http.MethodHead)
		}
	}
	if len(allow) == 0 {
		return nil, nil, ErrNoPath
	}
	return nil, allow, ErrNoVerb
}

func (t *Table) match(r *http.Request, verb string) *Route {
	var f finder
	t.mux.ServeHTTP(&f, &http.Request{Method: verb, URL: r.URL})
	return f.route
}

// finder is the response writer through which the matched route comes out of the mux.
type finder struct{ route *Route }

// Header is part of http.ResponseWriter; nothing is ever written.
func (f *finder) Header() http.Header { return http.Header{} }

// Write is part of http.ResponseWriter; nothing is ever written.
func (f *finder) Write(b []byte) (int, error) { return len(b), nil }

// WriteHeader is part of http.ResponseWriter; nothing is ever written.
func (f *finder) WriteHeader(int) {}

type routeKey struct{}

// WithRoute returns a context that carries the route of the request.
func WithRoute(ctx context.Context, route *Route) context.Context {
	return context.WithValue(ctx, routeKey{}, route)
}

// RouteFrom returns the route of the request; nil before it was found.
func RouteFrom(ctx context.Context) *Route {
	route, _ := ctx.Value(routeKey{}).(*Route)
	return route
}
