// Package upstream lists the services whose routes the gateway serves, and the connections on which it reaches them.
//
// It is the one place of the gateway that names generated service code: a service with a new public `service` block adds its line to
// handlers. That every routed method of the linked contracts has its handler is checked at start.
package upstream

import (
	"context"
	"fmt"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"

	"github.com/gatehouse/gatehouse/gateway/internal/rest"
	"github.com/gatehouse/gatehouse/internal/contract"
	auditv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	authzv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
)

// handler registers the generated REST handlers of one gRPC service.
type handler func(ctx context.Context, mux *runtime.ServeMux, conn *grpc.ClientConn) error

// handlers are all services with routes, by full name.
func handlers() map[string]handler {
	return map[string]handler{
		auditv1.AuditService_ServiceDesc.ServiceName:        auditv1.RegisterAuditServiceHandler,
		authv1.AuthService_ServiceDesc.ServiceName:          authv1.RegisterAuthServiceHandler,
		authzv1.RelationshipService_ServiceDesc.ServiceName: authzv1.RegisterRelationshipServiceHandler,
		identityv1.UserService_ServiceDesc.ServiceName:      identityv1.RegisterUserServiceHandler,
	}
}

// Connections gives the connection to a program of the mesh; *client.Conns is one.
type Connections interface {
	Conn(upstream string) (*grpc.ClientConn, error)
}

// Routes returns the registrations of every service that the contract gives a route. One without a handler here is an error.
func Routes(c *contract.Contract, conns Connections) ([]rest.Register, error) {
	known, done := handlers(), map[string]bool{}
	var registers []rest.Register
	for _, m := range c.Methods() {
		service := string(m.Descriptor.Parent().FullName())
		if m.Route == nil || done[service] {
			continue
		}
		done[service] = true
		register, ok := known[service]
		if !ok {
			return nil, fmt.Errorf("%s has a route and no REST handler: add it to gateway/internal/upstream", service)
		}
		conn, err := conns.Conn(m.Program)
		if err != nil {
			return nil, fmt.Errorf("routes of %s: %w", service, err)
		}
		registers = append(registers, func(ctx context.Context, mux *runtime.ServeMux) error { return register(ctx, mux, conn) })
	}
	return registers, nil
}
