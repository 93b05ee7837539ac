package app

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/gatehouse/gatehouse/consul"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/testkit/apptest"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	"github.com/gatehouse/gatehouse/internal/token"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	authzv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1"
)

// authStandIn is what Audit calls of Auth.
type authStandIn struct {
	authv1.UnimplementedVerificationServiceServer
	key token.JWK
}

// authzStandIn is what Audit calls of Authz: one answer to every question.
type authzStandIn struct {
	authzv1.UnimplementedAuthzServiceServer
	allow atomic.Bool
}

// BatchCheck answers every question alike.
func (s *authzStandIn) BatchCheck(_ context.Context, r *authzv1.BatchCheckRequest) (*authzv1.BatchCheckResponse, error) {
	response := &authzv1.BatchCheckResponse{}
	for range r.GetQuestions() {
		response.Allowed = append(response.Allowed, s.allow.Load())
	}
	return response, nil
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

func startAuth(t *testing.T, address string, tokens *grpctest.Tokens) (stop func()) {
	t.Helper()
	key, err := token.NewJWK(tokens.Key.Public())
	check.NoError(t, err)
	return apptest.Serve(t, address, func(s *grpc.Server) { authv1.RegisterVerificationServiceServer(s, &authStandIn{key: key}) })
}

func startAuthz(t *testing.T, address string) (authz *authzStandIn, stop func()) {
	t.Helper()
	authz = &authzStandIn{}
	return authz, apptest.Serve(t, address, func(s *grpc.Server) { authzv1.RegisterAuthzServiceServer(s, authz) })
}

// ports are where the program and its upstreams are.
type ports struct{ self, ops, auth, authz string }

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
	return ports{self: at(self.Port), ops: at(self.OpsPort), auth: upstream("auth"), authz: upstream("authz")}
}

// freeOffset finds a port offset at which nobody listens.
func freeOffset(t *testing.T) int {
	t.Helper()
	for range 100 {
		offset := rand.IntN(mesh.MaxPortOffset)
		p := portsOf(offset)
		if free(p.self) && free(p.ops) && free(p.auth) && free(p.authz) {
			return offset
		}
	}
	t.Fatal("no free ports")
	return 0
}

func free(address string) bool {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return false
	}
	return l.Close() == nil
}
