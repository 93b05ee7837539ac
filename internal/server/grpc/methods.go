package grpcserver

import (
	"strings"

	"google.golang.org/grpc"

	"github.com/gatehouse/gatehouse/internal/contract"
)

// method is what the server knows of one of its methods before it is called.
type method struct {
	policy  *contract.Method // nil for infrastructure
	infra   bool
	unknown bool // no method: the server does not have it
	counts  *counts
}

// served finds the contract of each method that a server has.
func served(s *grpc.Server, c *contract.Contract, all *metrics) map[string]*method {
	methods := map[string]*method{}
	for service, info := range s.GetServiceInfo() {
		for _, m := range info.Methods {
			name := "/" + service + "/" + m.Name
			policy, _ := c.Method(name)
			methods[name] = &method{
				policy: policy, infra: infrastructure(name),
				counts: all.of(name, kindOf(grpc.StreamDesc{ClientStreams: m.IsClientStream, ServerStreams: m.IsServerStream})),
			}
		}
	}
	return methods
}

// infrastructure reports whether a method is health or reflection. Consul's agent and operators
// call them past the mesh; they tell nothing about anybody, so they need no caller and no token.
func infrastructure(method string) bool {
	return strings.HasPrefix(method, "/grpc.health.v1.Health/") || strings.HasPrefix(method, "/grpc.reflection.")
}
