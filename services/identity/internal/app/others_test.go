package app

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"

	"google.golang.org/grpc"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/testkit/apptest"
	auditv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1"
	authzv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1"
)

// authzStandIn is what Identity calls of Authz: it keeps what is written and lets everybody do
// everything.
type authzStandIn struct {
	authzv1.UnimplementedAuthzServiceServer
	mu      sync.Mutex
	written []*authzv1.WriteRelationshipsRequest
}

func startAuthz(t *testing.T, address string) (s *authzStandIn, stop func()) {
	t.Helper()
	s = &authzStandIn{}
	return s, apptest.Serve(t, address, func(server *grpc.Server) { authzv1.RegisterAuthzServiceServer(server, s) })
}

// WriteRelationships remembers.
func (s *authzStandIn) WriteRelationships(_ context.Context, r *authzv1.WriteRelationshipsRequest) (*authzv1.WriteRelationshipsResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.written = append(s.written, r)
	return &authzv1.WriteRelationshipsResponse{}, nil
}

// ReserveDeparture lets everybody go.
func (s *authzStandIn) ReserveDeparture(context.Context, *authzv1.ReserveDepartureRequest) (*authzv1.ReserveDepartureResponse, error) {
	return &authzv1.ReserveDepartureResponse{}, nil
}

// GetModel names one permission.
func (s *authzStandIn) GetModel(context.Context, *authzv1.GetModelRequest) (*authzv1.GetModelResponse, error) {
	return &authzv1.GetModelResponse{Id: "1", Types: []*authzv1.ObjectType{{Name: "platform", Relations: []string{"can_list_users"}}}}, nil
}

// BatchCheck says yes.
func (s *authzStandIn) BatchCheck(_ context.Context, r *authzv1.BatchCheckRequest) (*authzv1.BatchCheckResponse, error) {
	return &authzv1.BatchCheckResponse{Allowed: slices.Repeat([]bool{true}, len(r.GetQuestions()))}, nil
}

// removed reports whether everything about the object or subject was to be removed.
func (s *authzStandIn) removed(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.written, func(r *authzv1.WriteRelationshipsRequest) bool { return r.GetDeleteAllOf() == name })
}

// auditStandIn is what Identity calls of Audit: it keeps what arrives.
type auditStandIn struct {
	auditv1.UnimplementedIngestServiceServer
	mu     sync.Mutex
	events []event.Event
}

func startAudit(t *testing.T, address string) (s *auditStandIn, stop func()) {
	t.Helper()
	s = &auditStandIn{}
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
			s.events = append(s.events, e)
			s.mu.Unlock()
		}
		if err := stream.Send(&auditv1.IngestResponse{Batch: batch.GetBatch()}); err != nil {
			return err
		}
	}
}

// actions returns what was done to an object, in order.
func (s *auditStandIn) actions(objectID string) (actions []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		if e.ObjectID == objectID {
			actions = append(actions, e.Action)
		}
	}
	return actions
}
