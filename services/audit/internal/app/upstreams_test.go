package app

import (
	"testing"

	"google.golang.org/grpc"

	"github.com/gatehouse/gatehouse/internal/client/clienttest"
	"github.com/gatehouse/gatehouse/internal/testkit/apptest"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	authzv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1"
)

func startAuth(t *testing.T, address string, tokens *grpctest.Tokens) (stop func()) {
	t.Helper()
	auth := clienttest.NewVerification(t, tokens)
	return apptest.Serve(t, address, func(s *grpc.Server) { authv1.RegisterVerificationServiceServer(s, auth) })
}

// startAuthz permits nobody anything at first.
func startAuthz(t *testing.T, address string) (authz *clienttest.Authz, stop func()) {
	t.Helper()
	authz = &clienttest.Authz{}
	return authz, apptest.Serve(t, address, func(s *grpc.Server) { authzv1.RegisterAuthzServiceServer(s, authz) })
}
