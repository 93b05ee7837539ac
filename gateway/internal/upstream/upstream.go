// Package upstream gives every routed service its REST handlers, on the connection on which the
// gateway reaches it. The handlers of all contracts are generated.
package upstream

import (
	"context"
	"fmt"
	"slices"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"

	"github.com/gatehouse/gatehouse/internal/client"
	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/rest"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/routes"
)

// Connections gives the connection to a program of the mesh; *client.Conns is one.
type Connections interface {
	Conn(upstream string) (*client.Conn, error)
}

// Routes returns the registrations of every service that the contract gives a route. One without a
// handler is an error: its generated code is older than its contract. Web exchanges need none.
func Routes(c *contract.Contract, conns Connections) ([]rest.Register, error) {
	known, done := routes.Handlers(), map[string]bool{}
	var registers []rest.Register
	for _, m := range c.Methods() {
		service := string(m.Descriptor.Parent().FullName())
		if m.Route == nil || done[service] {
			continue
		}
		done[service] = true
		conn, err := conns.Conn(m.Program)
		if err != nil {
			return nil, fmt.Errorf("routes of %s: %w", service, err)
		}
		if m.Exchange { // so are all methods of its service
			registers = append(registers, rest.Exchanges(methodsOf(c, service), conn))
			continue
		}
		register, ok := known[service]
		if !ok {
			return nil, fmt.Errorf("%s has a route and no REST handler: run make generate", service)
		}
		registers = append(registers, func(ctx context.Context, mux *runtime.ServeMux) error { return register(ctx, mux, conn) })
	}
	return registers, nil
}

// methodsOf are the methods of a service.
func methodsOf(c *contract.Contract, service string) []*contract.Method {
	return slices.DeleteFunc(c.Methods(), func(m *contract.Method) bool { return string(m.Descriptor.Parent().FullName()) != service })
}
