package gatewaytest

import (
	"net/http"
	"net/url"
	"testing"

	"google.golang.org/grpc"

	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/web"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// Answer lets a handler answer all web exchanges from now on; before, they answer 200 with nothing.
func (a *Auth) Answer(handler http.HandlerFunc) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.exchange = handler
}

// exchanges is a service of web exchanges that are answered by Answer.
func (a *Auth) exchanges(t testing.TB, contracts *contract.Contract, desc *grpc.ServiceDesc) *grpc.ServiceDesc {
	t.Helper()
	handlers := map[string]http.Handler{}
	for _, m := range desc.Methods {
		handlers[m.MethodName] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a.mu.Lock()
			answer := a.exchange
			a.mu.Unlock()
			if answer != nil {
				answer(w, r)
			}
		})
	}
	made, err := web.Service(desc, contracts, &url.URL{Scheme: "https", Host: "id.example.com"}, handlers)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// webServices are the services of web exchanges that Auth has.
func webServices() []*grpc.ServiceDesc { return []*grpc.ServiceDesc{&authv1.OpenIDService_ServiceDesc} }
