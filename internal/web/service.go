package web

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/request"
	webv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/web/v1"
)

// Service makes the gRPC service of handlers, one for each method of desc by its name: all of them
// are web exchanges. A method without a handler and a handler without a method are errors. public
// is the URL that clients reach the platform by, from the configuration: a handler never sees what
// a client says of the host (R14).
func Service(desc *grpc.ServiceDesc, c *contract.Contract, public *url.URL, handlers map[string]http.Handler) (*grpc.ServiceDesc, error) {
	left := maps.Clone(handlers)
	made := &grpc.ServiceDesc{ServiceName: desc.ServiceName, HandlerType: (*any)(nil), Metadata: desc.Metadata}
	for _, method := range desc.Methods {
		m, ok := c.Method("/" + desc.ServiceName + "/" + method.MethodName)
		if !ok {
			return nil, fmt.Errorf("%s/%s has no contract", desc.ServiceName, method.MethodName)
		}
		types, err := messagesOf(m)
		if err != nil {
			return nil, err
		}
		handler, ok := left[method.MethodName]
		if !ok {
			return nil, fmt.Errorf("%s has no handler", m.FullName)
		}
		delete(left, method.MethodName)
		e := &exchange{messages: types, method: m, public: public, handler: handler}
		made.Methods = append(made.Methods, grpc.MethodDesc{MethodName: method.MethodName, Handler: e.serve})
	}
	if len(left) > 0 {
		return nil, fmt.Errorf("%s has no method %s", desc.ServiceName, slices.Sorted(maps.Keys(left))[0])
	}
	return made, nil
}

// exchange is one method and who answers it.
type exchange struct {
	messages

	method  *contract.Method
	public  *url.URL
	handler http.Handler
}

// serve is the method as gRPC calls it, a grpc.MethodHandler.
func (e *exchange) serve(srv any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
	in := e.request.New().Interface()
	if err := decode(in); err != nil {
		return nil, err
	}
	handle := func(ctx context.Context, in any) (any, error) { return e.answer(ctx, in.(proto.Message)) } //nolint:forcetypeassert // made above
	if interceptor == nil {
		return handle(ctx, in)
	}
	return interceptor(ctx, in, &grpc.UnaryServerInfo{Server: srv, FullMethod: e.method.FullName}, handle)
}

// answer lets the handler answer. Where it refuses the error is a *Refusal.
func (e *exchange) answer(ctx context.Context, in proto.Message) (proto.Message, error) {
	asked, err := inside[*webv1.Request](in)
	if err != nil {
		return nil, err
	}
	w := &responder{header: http.Header{}}
	e.handler.ServeHTTP(w, e.incoming(withResponder(ctx, w), asked))
	envelope, err := w.envelope()
	if err != nil {
		return nil, fmt.Errorf("answer %s: %w", e.method.FullName, err)
	}
	out := around(e.response, envelope)
	if refused := w.refused(); refused != nil {
		return nil, &Refusal{Response: out, Err: refused}
	}
	return out, nil
}

// incoming is the request as a handler sees it.
func (e *exchange) incoming(ctx context.Context, asked *webv1.Request) *http.Request {
	client := request.ClientOf(ctx)
	target := &url.URL{Path: e.method.Route.Path, RawQuery: asked.GetQuery()}
	r := (&http.Request{
		Method: e.method.Route.Verb, URL: target, RequestURI: target.RequestURI(), Host: e.public.Host,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: http.NoBody, ContentLength: int64(len(asked.GetBody())),
		RemoteAddr: net.JoinHostPort(client.Address, "0"),
	}).WithContext(ctx)
	for _, h := range asked.GetHeaders() {
		if Carries(h.GetName()) {
			r.Header.Add(h.GetName(), string(h.GetValue()))
		}
	}
	if client.Agent != "" {
		r.Header.Set("User-Agent", client.Agent)
	}
	if len(asked.GetBody()) > 0 {
		r.Body = io.NopCloser(bytes.NewReader(asked.GetBody()))
	}
	return r
}
