package app

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/gatehouse/gatehouse/consul"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/testkit/apptest"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	"github.com/gatehouse/gatehouse/internal/token"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// authStandIn is what Identity calls of Auth, on the port where its sidecar would listen.
type authStandIn struct {
	authv1.UnimplementedLoginServiceServer
	authv1.UnimplementedVerificationServiceServer
	removeLoginFails atomic.Bool
	logins           sync.Map // removed user ids
	key              token.JWK
	stop             func()
}

func startAuth(t *testing.T, address string, tokens *grpctest.Tokens) *authStandIn {
	t.Helper()
	key, err := token.NewJWK(tokens.Key.Public())
	check.NoError(t, err)
	s := &authStandIn{key: key}
	s.stop = apptest.Serve(t, address, func(server *grpc.Server) {
		authv1.RegisterLoginServiceServer(server, s)
		authv1.RegisterVerificationServiceServer(server, s)
	})
	return s
}

func (s *authStandIn) removed(userID string) bool {
	_, ok := s.logins.Load(userID)
	return ok
}

// RemoveLogin removes nothing, but remembers.
func (s *authStandIn) RemoveLogin(_ context.Context, r *authv1.RemoveLoginRequest) (*authv1.RemoveLoginResponse, error) {
	if s.removeLoginFails.Load() {
		return nil, status.Error(codes.Unavailable, "down")
	}
	s.logins.Store(r.GetUserId(), true)
	return &authv1.RemoveLoginResponse{}, nil
}

// GetKeySet answers the test's key.
func (s *authStandIn) GetKeySet(context.Context, *authv1.GetKeySetRequest) (*authv1.GetKeySetResponse, error) {
	return &authv1.GetKeySetResponse{MaxAge: durationpb.New(time.Minute), Keys: []*authv1.JsonWebKey{{
		Kty: s.key.KTY, Use: s.key.Use, Alg: s.key.Alg, Kid: s.key.KID, Crv: s.key.CRV, X: s.key.X, Y: s.key.Y,
	}}}, nil
}

// WatchRevocations says once a second that nothing is revoked.
func (s *authStandIn) WatchRevocations(
	_ *authv1.WatchRevocationsRequest, stream grpc.ServerStreamingServer[authv1.WatchRevocationsResponse],
) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		if err := stream.Send(&authv1.WatchRevocationsResponse{Complete: true}); err != nil {
			return err
		}
		select {
		case <-stream.Context().Done():
			return nil
		case <-tick.C:
		}
	}
}

// ports are where the program and its upstreams are.
type ports struct{ self, ops, auth, authz, audit string }

func portsOf(offset int) ports {
	def, err := consul.Definition()
	if err != nil {
		panic(err)
	}
	self, err := def.Program(Name)
	if err != nil {
		panic(err)
	}
	at := func(port int) string { return fmt.Sprintf("127.0.0.1:%d", port+offset) }
	upstream := func(name string) string {
		port, err := self.Upstream(name)
		if err != nil {
			panic(err)
		}
		return at(port)
	}
	return ports{
		self: at(self.Port), ops: at(self.OpsPort),
		auth: upstream("auth"), authz: upstream("authz"), audit: upstream("audit"),
	}
}

// freeOffset finds a port offset at which nobody listens.
func freeOffset(t *testing.T) int {
	t.Helper()
	for range 100 {
		offset := rand.IntN(mesh.MaxPortOffset)
		p := portsOf(offset)
		if !slices.ContainsFunc([]string{p.self, p.ops, p.auth, p.authz, p.audit}, taken) {
			return offset
		}
	}
	t.Fatal("no free ports")
	return 0
}

func taken(address string) bool {
	l, err := net.Listen("tcp", address)
	return err != nil || l.Close() != nil
}
