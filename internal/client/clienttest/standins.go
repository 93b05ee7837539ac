package clienttest

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	"github.com/gatehouse/gatehouse/internal/token"
	auditv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	authzv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1"
)

// Verification stands in for Auth's VerificationService: it knows the key of an issuer, and nothing
// is revoked.
type Verification struct {
	authv1.UnimplementedVerificationServiceServer

	key token.JWK
}

// NewVerification returns it for the tokens of an issuer.
func NewVerification(t testing.TB, tokens *grpctest.Tokens) *Verification {
	t.Helper()
	key, err := token.NewJWK(tokens.Key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return &Verification{key: key}
}

// GetKeySet answers the issuer's key.
func (v *Verification) GetKeySet(context.Context, *authv1.GetKeySetRequest) (*authv1.GetKeySetResponse, error) {
	return &authv1.GetKeySetResponse{MaxAge: durationpb.New(time.Minute), Keys: []*authv1.JsonWebKey{{
		Kty: v.key.KTY, Use: v.key.Use, Alg: v.key.Alg, Kid: v.key.KID, Crv: v.key.CRV, X: v.key.X, Y: v.key.Y,
	}}}, nil
}

// WatchRevocations says once a second that nothing is revoked.
func (v *Verification) WatchRevocations(
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

// Ingest stands in for Audit's IngestService: it keeps what arrives.
type Ingest struct {
	auditv1.UnimplementedIngestServiceServer

	mu     sync.Mutex
	events []event.Event
}

// Ingest keeps and acknowledges each batch.
func (s *Ingest) Ingest(stream grpc.BidiStreamingServer[auditv1.IngestRequest, auditv1.IngestResponse]) error {
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
			s.keep(e)
		}
		if err := stream.Send(&auditv1.IngestResponse{Batch: batch.GetBatch()}); err != nil {
			return err
		}
	}
}

func (s *Ingest) keep(e event.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.ContainsFunc(s.events, func(known event.Event) bool { return known.ID == e.ID }) {
		s.events = append(s.events, e)
	}
}

// Events returns what has arrived, each once, in the order of arrival.
func (s *Ingest) Events() []event.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.events)
}

// Authz stands in for AuthzService: it answers every question alike, keeps what is written, and
// lets everybody go.
type Authz struct {
	authzv1.UnimplementedAuthzServiceServer

	Allow atomic.Bool

	mu      sync.Mutex
	written []*authzv1.WriteRelationshipsRequest
}

// BatchCheck answers every question alike.
func (s *Authz) BatchCheck(_ context.Context, r *authzv1.BatchCheckRequest) (*authzv1.BatchCheckResponse, error) {
	return &authzv1.BatchCheckResponse{Allowed: slices.Repeat([]bool{s.Allow.Load()}, len(r.GetQuestions()))}, nil
}

// GetModel names one permission.
func (*Authz) GetModel(context.Context, *authzv1.GetModelRequest) (*authzv1.GetModelResponse, error) {
	return &authzv1.GetModelResponse{Id: "1", Types: []*authzv1.ObjectType{{Name: "platform", Relations: []string{"can_list_users"}}}}, nil
}

// ReserveDeparture lets everybody go.
func (*Authz) ReserveDeparture(context.Context, *authzv1.ReserveDepartureRequest) (*authzv1.ReserveDepartureResponse, error) {
	return &authzv1.ReserveDepartureResponse{}, nil
}

// SettleSuspension hears.
func (*Authz) SettleSuspension(context.Context, *authzv1.SettleSuspensionRequest) (*authzv1.SettleSuspensionResponse, error) {
	return &authzv1.SettleSuspensionResponse{}, nil
}

// WriteRelationships remembers.
func (s *Authz) WriteRelationships(_ context.Context, r *authzv1.WriteRelationshipsRequest) (*authzv1.WriteRelationshipsResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.written = append(s.written, r)
	return &authzv1.WriteRelationshipsResponse{}, nil
}

// Removed reports whether everything about the object or subject was to be removed.
func (s *Authz) Removed(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.written, func(r *authzv1.WriteRelationshipsRequest) bool { return r.GetDeleteAllOf() == name })
}
