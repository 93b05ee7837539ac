package rest

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/rpcstatus"
)

// Register adds the generated handlers of the services behind one upstream to the mux.
type Register func(ctx context.Context, mux *runtime.ServeMux) error

// Handler finds the route of a request, and serves the one that the chain has found.
type Handler struct {
	mux      *runtime.ServeMux // only to be asked by find
	routes   *routes
	now      func() time.Time
	draining context.Context // ends all streams; it belongs to no request
	drain    context.CancelFunc
}

// NewHandler makes the handler of the methods that have a route and a registered service, and of the door's own documents, by path,
// which answer GET. now is the real clock, for deadlines on sockets.
func NewHandler(form Form, methods []*contract.Method, own map[string]http.Handler, now func() time.Time, registers ...Register) (*Handler, error) {
	routes, err := newRoutes(methods, own)
	if err != nil {
		return nil, err
	}
	h := &Handler{routes: routes, now: now}
	h.draining, h.drain = context.WithCancel(context.Background())
	h.mux = runtime.NewServeMux(append(streamOptions(form.Stream),
		runtime.WithMarshalerOption(runtime.MIMEWildcard, &runtime.JSONPb{
			MarshalOptions:   form.Message,
			UnmarshalOptions: protojson.UnmarshalOptions{DiscardUnknown: false},
		}),
		// No header becomes metadata, in either direction, but the bearer token, which the mux always hands over, and the consistency
		// token; the request id and the trace travel with the client connection (internal/client).
		runtime.WithIncomingHeaderMatcher(incoming),
		runtime.WithOutgoingHeaderMatcher(none),
		runtime.WithOutgoingTrailerMatcher(none),
		runtime.WithDisablePathLengthFallback(),
		runtime.WithDisableHTTPMethodOverride(),
		runtime.WithForwardResponseOption(head),
		runtime.WithForwardResponseRewriter(body),
		runtime.WithErrorHandler(fail),
		runtime.WithRoutingErrorHandler(notFound),
		runtime.WithMiddlewares(routes.caught),
	)...)
	for path := range own {
		if err := h.mux.HandlePath(http.MethodGet, path, nil); err != nil {
			return nil, fmt.Errorf("route of %s: %w", path, err)
		}
	}
	for _, register := range registers {
		if err := register(context.Background(), h.mux); err != nil {
			return nil, fmt.Errorf("register routes: %w", err)
		}
	}
	return h, nil
}

func none(string) (string, bool) { return "", false }

// Drain ends all streams, and each further one at once, so that a stopping program need not wait for them.
func (h *Handler) Drain() { h.drain() }

// ServeHTTP checks the request against the route's contract and forwards it.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	route := foundIn(r.Context())
	switch {
	case route == nil:
		Fail(w, r, apierr.InternalError())
	case route.Method == nil:
		if err := errNil(route.shape.checkQuery(r.URL.RawQuery)); err != nil {
			Fail(w, r, err)
			return
		}
		route.own.ServeHTTP(w, r)
	case route.exchange():
		route.serve(w, r, nil)
	default:
		mapped, err := route.mapped(r)
		if err != nil {
			Fail(w, r, err)
			return
		}
		if route.Lines() {
			h.serveLines(w, r, mapped, route)
			return
		}
		if route.Method.LongLived {
			h.serveStream(w, r, mapped, route)
			return
		}
		delete(mapped.Header, "Accept") // it chooses the form of streams, and of nothing else
		route.serve(w, mapped, route.params)
	}
}

// mapped returns the request as the generated handlers shall see it.
func (route *Route) mapped(r *http.Request) (*http.Request, error) {
	mapped := r.WithContext(r.Context())
	if err := errNil(route.shape.checkQuery(r.URL.RawQuery)); err != nil {
		return nil, err
	}
	if err := errNil(checkConsistency(r.Header)); err != nil {
		return nil, err
	}
	if err := errNil(route.shape.applyPrecondition(mapped)); err != nil {
		return nil, err
	}
	if err := errNil(route.shape.applyResume(mapped)); err != nil {
		return nil, err
	}
	mapped.Method = route.Verb              // HEAD is served as GET
	mapped.Host, mapped.RemoteAddr = "", "" // grpc-gateway would send them on as X-Forwarded metadata
	if route.Lines() {                      // read line by line
		return mapped, linesContent(r.Header)
	}
	body, err := route.shape.readBody(r)
	if err != nil {
		return nil, err
	}
	mapped.Body = http.NoBody
	if body != nil {
		mapped.Body = receivedAs(body)
	}
	return mapped, nil
}

// head writes the status, the ETag and the consistency token of a successful response.
func head(ctx context.Context, w http.ResponseWriter, m proto.Message) error {
	if streamOf(ctx) != nil { // called for each message; the response is always 200 and no resource
		return nil
	}
	if l := linesOf(ctx); l != nil && l.failure != nil {
		return l.failure
	}
	setETag(w.Header(), m)
	setConsistency(ctx, w.Header())
	setStored(ctx, w.Header())
	switch status := statusOf(RouteFrom(ctx).Method, m); status {
	case http.StatusOK:
	case http.StatusNoContent:
		w.Header().Del("Content-Type")
		w.WriteHeader(status)
	default:
		w.WriteHeader(status)
	}
	return nil
}

// statusOf is the status of a successful response.
func statusOf(method *contract.Method, m proto.Message) int {
	if nothingYet(method, m) {
		return http.StatusAccepted
	}
	return method.HTTPStatus
}

// nothingYet reports whether a response says that there is nothing to tell yet.
func nothingYet(method *contract.Method, m proto.Message) bool {
	return method.Accepted && proto.Size(m) == 0
}

// body is what is written of a successful response: an object without fields where there is nothing
// to tell yet, also not that a field is empty.
func body(ctx context.Context, m proto.Message) (any, error) {
	if streamOf(ctx) == nil && nothingYet(RouteFrom(ctx).Method, m) {
		return &emptypb.Empty{}, nil
	}
	return m, nil
}

// fail answers with what a service, its sidecar or the connection answered.
func fail(ctx context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, err error) {
	if _, asked := w.(*finder); asked { // for a route, and the path cannot be read
		return
	}
	if s := streamOf(r.Context()); s != nil {
		s.failure = err
		return
	}
	setConsistency(ctx, w.Header()) // what failed may have written before
	if l := linesOf(r.Context()); l != nil {
		l.fail(ctx, w, r, err)
		return
	}
	Fail(w, r, answered(r, err))
}

// answered is the error of a service, its sidecar or the connection as the client may know it.
func answered(r *http.Request, err error) *apierr.Error {
	st := status.Convert(err)
	e := rpcstatus.ToError(st)
	if st.Code() == codes.InvalidArgument && e.Kind == apierr.Internal { // the mapping's own refusal
		return misread(r) // its text quotes values, so the log does not get it
	}
	if route := RouteFrom(r.Context()); route != nil && route.shape.prefix != "" {
		e = inBody(e, route.shape.prefix)
	}
	return e
}

// misread says what the mapping did not understand.
func misread(r *http.Request) *apierr.Error {
	if body, ok := r.Body.(*received); ok {
		if err := checkValues(body.text, RouteFrom(r.Context()).shape.body); err != nil {
			return err
		}
	}
	return apierr.MalformedRequest()
}

// inBody names fields as the client wrote them: "user.display_name" of the request is "display_name" of the body.
func inBody(e *apierr.Error, prefix string) *apierr.Error {
	renamed := *e
	renamed.Fields = nil
	for _, field := range e.Fields {
		field.Path = strings.TrimPrefix(field.Path, prefix)
		renamed.Fields = append(renamed.Fields, field)
	}
	return &renamed
}

// notFound says nothing: who asked the mux for a route got none.
func notFound(context.Context, *runtime.ServeMux, runtime.Marshaler, http.ResponseWriter, *http.Request, int) {
}
