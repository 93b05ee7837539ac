package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/gatehouse/gatehouse/consul"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/testkit/apptest"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	"github.com/gatehouse/gatehouse/internal/token"
	auditv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// authStandIn is what Authz calls of Auth, on the port where its sidecar would listen.
type authStandIn struct {
	authv1.UnimplementedVerificationServiceServer
	key token.JWK
}

func startAuth(t *testing.T, address string, tokens *grpctest.Tokens) (stop func()) {
	t.Helper()
	key, err := token.NewJWK(tokens.Key.Public())
	check.NoError(t, err)
	return apptest.Serve(t, address, func(server *grpc.Server) { authv1.RegisterVerificationServiceServer(server, &authStandIn{key: key}) })
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

// auditStandIn is what Authz calls of Audit: it keeps what arrives.
type auditStandIn struct {
	auditv1.UnimplementedIngestServiceServer
	mu     sync.Mutex
	events map[string]event.Event
}

func startAudit(t *testing.T, address string) (s *auditStandIn, stop func()) {
	t.Helper()
	s = &auditStandIn{events: map[string]event.Event{}}
	return s, apptest.Serve(t, address, func(server *grpc.Server) { auditv1.RegisterIngestServiceServer(server, s) })
}

// Ingest keeps and acknowledges each batch.
func (s *auditStandIn) Ingest(stream grpc.BidiStreamingServer[auditv1.IngestRequest, auditv1.IngestResponse]) error {
	for {
		batch, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, sealed := range batch.GetEvents() {
			e, err := event.Parse(sealed.GetCanonical())
			if err != nil {
				return err
			}
			s.mu.Lock()
			s.events[e.ID] = e
			s.mu.Unlock()
		}
		if err := stream.Send(&auditv1.IngestResponse{Batch: batch.GetBatch()}); err != nil {
			return err
		}
	}
}

// count returns how many events of an action arrived.
func (s *auditStandIn) count(action string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		if e.Action == action {
			n++
		}
	}
	return n
}

// ports are where the program and its upstreams are.
type ports struct{ self, ops, auth, audit string }

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
	return ports{self: at(self.Port), ops: at(self.OpsPort), auth: upstream("auth"), audit: upstream("audit")}
}

// freeOffset finds a port offset at which nobody listens.
func freeOffset(t *testing.T) int {
	t.Helper()
	for range 100 {
		offset := rand.IntN(mesh.MaxPortOffset)
		p := portsOf(offset)
		if free(p.self) && free(p.ops) && free(p.auth) && free(p.audit) {
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
