package app

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/internal/client/clienttest"
	"github.com/gatehouse/gatehouse/internal/testkit/apptest"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	auditv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	authzv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1"
)

// authStandIn is what Identity calls of Auth, on the port where its sidecar would listen.
type authStandIn struct {
	authv1.UnimplementedLoginServiceServer
	removeLoginFails atomic.Bool
	logins           sync.Map // removed user ids
	stop             func()
}

func startAuth(t *testing.T, address string, tokens *grpctest.Tokens) *authStandIn {
	t.Helper()
	s := &authStandIn{}
	s.stop = apptest.Serve(t, address, func(server *grpc.Server) {
		authv1.RegisterLoginServiceServer(server, s)
		authv1.RegisterVerificationServiceServer(server, clienttest.NewVerification(t, tokens))
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

// startAuthz lets everybody do everything.
func startAuthz(t *testing.T, address string) (s *clienttest.Authz, stop func()) {
	t.Helper()
	s = &clienttest.Authz{}
	s.Allow.Store(true)
	return s, apptest.Serve(t, address, func(server *grpc.Server) { authzv1.RegisterAuthzServiceServer(server, s) })
}

func startAudit(t *testing.T, address string) (s *clienttest.Ingest, stop func()) {
	t.Helper()
	s = &clienttest.Ingest{}
	return s, apptest.Serve(t, address, func(server *grpc.Server) { auditv1.RegisterIngestServiceServer(server, s) })
}

// actions returns what was done to an object, in order.
func actions(s *clienttest.Ingest, objectID string) (actions []string) {
	for _, e := range s.Events() {
		if e.ObjectID == objectID {
			actions = append(actions, e.Action)
		}
	}
	return actions
}
