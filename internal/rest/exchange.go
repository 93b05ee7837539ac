package rest

import (
	"context"
	"fmt"
	"net/http"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"

	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/web"
	webv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/web/v1"
)

type visitorsKey struct{}

// Recognize notes who comes to the path of a web exchange. It stands before whatever may answer:
// what refuses such a request before its route is known refuses it in the form of its visitors,
// too.
func Recognize(h *Handler) Step {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if visitors := h.routes.visitors[r.URL.Path]; visitors != 0 {
				r = r.WithContext(context.WithValue(r.Context(), visitorsKey{}, visitors))
			}
			next.ServeHTTP(w, r)
		})
	}
}

// VisitorsOf returns who comes to the path of the request; 0 when it is not that of a web exchange.
func VisitorsOf(ctx context.Context) contract.Visitors {
	visitors, _ := ctx.Value(visitorsKey{}).(contract.Visitors)
	return visitors
}

// Exchanges serves those of the methods that are web exchanges. They have no generated handlers:
// what the client sent is handed over on the connection as it is.
func Exchanges(methods []*contract.Method, conn grpc.ClientConnInterface) Register {
	return func(_ context.Context, mux *runtime.ServeMux) error {
		for _, m := range methods {
			if !m.Exchange || m.Route == nil {
				continue
			}
			call, err := web.NewCall(m, conn)
			if err != nil {
				return err
			}
			if err := mux.HandlePath(m.Route.Verb, m.Route.Path, exchange(call)); err != nil {
				return fmt.Errorf("route of %s: %w", m.FullName, err)
			}
		}
		return nil
	}
}

// exchange hands a request over and answers with the response.
func exchange(call *web.Call) runtime.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request, _ map[string]string) {
		asked, err := handOver(r)
		if err != nil {
			Fail(w, r, err)
			return
		}
		response, err := call.Do(r.Context(), asked)
		if err != nil {
			Fail(w, r, answered(r, err))
			return
		}
		respond(w, r, response)
	}
}

// handOver is the request in the mesh, once its form is as it must be.
func handOver(r *http.Request) (*webv1.Request, error) {
	body, err := readForm(r)
	if err != nil {
		return nil, err
	}
	if err := errNil(checkParameters(r.URL.RawQuery, body)); err != nil {
		return nil, err
	}
	asked := &webv1.Request{Query: r.URL.RawQuery, Body: body}
	for name, values := range r.Header {
		if !web.Carries(name) {
			continue
		}
		for _, value := range values {
			asked.Headers = append(asked.Headers, &webv1.Header{Name: name, Value: []byte(value)})
		}
	}
	return asked, nil
}

// respond sends what the handler answered. What it says of a header counts instead of what the door
// says of every response (SecurityHeaders); what is not its own to say does not leave.
func respond(w http.ResponseWriter, r *http.Request, response *webv1.Response) {
	header, said := w.Header(), map[string]bool{}
	for _, h := range response.GetHeaders() {
		name := h.GetName()
		if !web.Leaves(name) {
			continue
		}
		if !said[name] {
			header.Del(name)
			said[name] = true
		}
		header.Add(name, string(h.GetValue()))
	}
	w.WriteHeader(int(response.GetStatus()))
	if r.Method != http.MethodHead {
		_, _ = w.Write(response.GetBody()) //nolint:gosec // whoever made it has escaped it; the client is gone when this is refused
	}
}
