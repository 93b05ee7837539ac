package app

import (
	"testing"

	"google.golang.org/grpc"

	"github.com/gatehouse/gatehouse/internal/client/clienttest"
	"github.com/gatehouse/gatehouse/internal/testkit/apptest"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	auditv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

func startAuth(t *testing.T, address string, tokens *grpctest.Tokens) (stop func()) {
	t.Helper()
	s := clienttest.NewVerification(t, tokens)
	return apptest.Serve(t, address, func(server *grpc.Server) { authv1.RegisterVerificationServiceServer(server, s) })
}

func startAudit(t *testing.T, address string) (s *clienttest.Ingest, stop func()) {
	t.Helper()
	s = &clienttest.Ingest{}
	return s, apptest.Serve(t, address, func(server *grpc.Server) { auditv1.RegisterIngestServiceServer(server, s) })
}

// arrived returns how many events of an action arrived.
func arrived(s *clienttest.Ingest, action string) (n int) {
	for _, e := range s.Events() {
		if e.Action == action {
			n++
		}
	}
	return n
}
