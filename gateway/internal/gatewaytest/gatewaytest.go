// Package gatewaytest runs services for the gateway to talk to: the real generated gRPC services
// behind the real chain of the kernel (authorization, validation and errors are those of a
// program), with small implementations in memory, and in front of them what a sidecar does for the
// gateway.
//
// The implementations are not the services' own: the gateway may not import a service, and its
// tests need answers at will (an error, a pause, an event without a sender) which real handlers
// give only over a database and an engine of their own. So that they answer as the real ones do,
// test/conformance runs the same cases against both. Tests import it.
package gatewaytest

import (
	"io"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/gatehouse/gatehouse/consul"
	"github.com/gatehouse/gatehouse/internal/access"
	"github.com/gatehouse/gatehouse/internal/client/authz"
	"github.com/gatehouse/gatehouse/internal/contract"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
	auditv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	authzv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
)

// Services are the platform's services in memory, reachable on the upstream ports of the gateway's sidecar.
type Services struct {
	Offset int // port offset that was free
	Users  *Users
	Auth   *Auth
	Audit  *Audit
	Grants *grpctest.Grants // what Authz says to the services
	Tokens *grpctest.Tokens

	Relationships *Relationships

	IdentityPort int // where the gateway reaches Identity

	programs map[string]*grpctest.Server

	identity, auth, audit *sidecar
}

// Start starts the services; they stop with the test. Their logs go to log, nil discards them.
func Start(t testing.TB, log io.Writer) *Services {
	t.Helper()
	return start(t, log, meshtest.Contract(t), func(_ *grpctest.Server, _ string, grants access.Permissions) access.Permissions { return grants })
}

// StartRated starts the services with other rates than the contract's, by method. They ask Authz
// for permissions by calls, for which it has its rates, too.
func StartRated(t testing.TB, rates map[string]contract.Rate) *Services {
	t.Helper()
	contracts := meshtest.Contract(t)
	for name, rate := range rates {
		m, ok := contracts.Method(name)
		if !ok {
			t.Fatalf("there is no method %s", name)
		}
		m.Rate = rate
	}
	return start(t, nil, contracts, func(s *grpctest.Server, program string, _ access.Permissions) access.Permissions {
		return authz.Permissions(authz.Client(s.As(program)))
	})
}

// asking returns how a program asks a running Authz, or the table behind it, for permissions.
type asking func(s *grpctest.Server, program string, grants access.Permissions) access.Permissions

func start(t testing.TB, log io.Writer, contracts *contract.Contract, ask asking) *Services {
	t.Helper()
	tokens := grpctest.NewTokens(t, time.Now)
	s := &Services{
		Users: NewUsers(), Auth: NewAuth(tokens), Audit: NewAudit(), Relationships: &Relationships{}, Grants: grpctest.NewGrants(), Tokens: tokens,
	}
	s.Auth.users = s.Users
	programs := []string{"authz", "identity", "auth", "audit"} // who asks for permissions after who is asked
	registrations := map[string][]grpcserver.Registration{
		"identity": {{Desc: &identityv1.UserService_ServiceDesc, Impl: s.Users, REST: identityv1.RegisterUserServiceHandler}},
		"auth": {
			{Desc: &authv1.AuthService_ServiceDesc, Impl: s.Auth, REST: authv1.RegisterAuthServiceHandler},
			{Desc: &authv1.VerificationService_ServiceDesc, Impl: s.Auth},
			{Desc: &authv1.ClientDirectoryService_ServiceDesc, Impl: s.Auth},
		},
		"audit": {{Desc: &auditv1.AuditService_ServiceDesc, Impl: s.Audit, REST: auditv1.RegisterAuditServiceHandler}},
		"authz": {
			{Desc: &authzv1.RelationshipService_ServiceDesc, Impl: s.Relationships, REST: authzv1.RegisterRelationshipServiceHandler},
			{Desc: &authzv1.AuthzService_ServiceDesc, Impl: answering{grants: s.Grants}},
		},
	}
	for _, desc := range webServices() {
		registrations["auth"] = append(registrations["auth"], grpcserver.Registration{Desc: s.Auth.exchanges(t, contracts, desc), Impl: s.Auth})
	}
	for _, name := range programs {
		registrations[name] = append(registrations[name], unfilled(contracts, name, registrations[name])...)
	}
	definition, err := consul.Definition()
	if err != nil {
		t.Fatal(err)
	}
	gateway, err := definition.Edge()
	if err != nil {
		t.Fatal(err)
	}
	ports := []int{gateway.Port, gateway.OpsPort}
	for _, name := range programs {
		port, err := gateway.Upstream(name)
		if err != nil {
			t.Fatal(err)
		}
		ports = append(ports, port)
	}
	listeners, offset := freeOffset(t, ports)
	s.Offset, s.programs = offset, map[string]*grpctest.Server{}
	sidecars := map[string]*sidecar{}
	for i, name := range programs {
		var permissions access.Permissions = s.Grants
		if name != "authz" {
			permissions = ask(s.programs["authz"], name, s.Grants)
		}
		program := grpctest.New(t, grpctest.Config{
			Program: name, Contract: contracts, Callers: definition, Tokens: tokens, Permissions: permissions, Log: log,
			Recheck: 20 * time.Millisecond, Registrations: registrations[name],
		})
		s.programs[name] = program
		sidecars[name] = newSidecar(t, listeners[2+i], program.As(gateway.Name))
		if name == "identity" {
			s.IdentityPort = ports[2+i] + offset
		}
	}
	s.identity, s.auth, s.audit = sidecars["identity"], sidecars["auth"], sidecars["audit"]
	_ = listeners[0].Close() // the gateway takes these itself
	_ = listeners[1].Close()
	return s
}

// unfilled are the services of the API that have no implementation here: the chain refuses what it
// has to, and what it lets through is answered with nothing.
func unfilled(contracts *contract.Contract, program string, have []grpcserver.Registration) []grpcserver.Registration {
	return slices.DeleteFunc(grpctest.Hollow(contracts, program, nil), func(r grpcserver.Registration) bool {
		implemented := slices.ContainsFunc(have, func(h grpcserver.Registration) bool { return h.Desc.ServiceName == r.Desc.ServiceName })
		exchanges := slices.ContainsFunc(r.Desc.Methods, func(d grpc.MethodDesc) bool {
			m, ok := contracts.Method("/" + r.Desc.ServiceName + "/" + d.MethodName)
			return ok && m.Exchange
		})
		return implemented || exchanges
	})
}

// Door opens the REST door of a service and returns its URL.
func (s *Services) Door(program string) string {
	url, _ := s.programs[program].Door()
	return url
}

// StopAuth takes Auth away until StartAuth: what comes through its sidecar fails as if nobody listened there.
func (s *Services) StopAuth() { s.auth.deny(true) }

// StartAuth brings Auth back.
func (s *Services) StartAuth() { s.auth.deny(false) }

// StopAudit takes Audit away: open tails are cut with their next message.
func (s *Services) StopAudit() { s.audit.deny(true) }

// StopIdentity takes Identity away.
func (s *Services) StopIdentity() { s.identity.deny(true) }

// StartIdentity brings Identity back.
func (s *Services) StartIdentity() { s.identity.deny(false) }
