package authz_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/access"
	"github.com/gatehouse/gatehouse/internal/apierr"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	authzv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1"
	"github.com/gatehouse/gatehouse/services/identity/internal/authz"
)

// model is Authz's model, which a release may change.
type model struct {
	authzv1.UnimplementedAuthzServiceServer
	mu    sync.Mutex
	names []string // relations of the platform
	asked int
}

func (m *model) GetModel(context.Context, *authzv1.GetModelRequest) (*authzv1.GetModelResponse, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked++
	return &authzv1.GetModelResponse{Types: []*authzv1.ObjectType{{Name: "platform", Relations: m.names}}}, nil
}

func (m *model) release(names ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.names = names
}

// Allowed says yes to what the model has, and refuses what it does not have, as Authz does.
func (m *model) Allowed(_ context.Context, _ string, asked []access.Question, _ string) ([]bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, q := range asked {
		if !slices.Contains(m.names, q.Relation) {
			return nil, apierr.New(apierr.InvalidArgument, "INVALID_RELATIONSHIP", "no such relation")
		}
	}
	return slices.Repeat([]bool{true}, len(asked)), nil
}

func TestTheModelIsKeptForAMinute(t *testing.T) {
	m := &model{names: []string{"administrator", "can_a", "can_b"}}
	server := grpctest.New(t, grpctest.Config{Program: "authz", Registrations: []grpcserver.Registration{
		{Desc: &authzv1.AuthzService_ServiceDesc, Impl: m},
	}})
	now := time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC)
	p := authz.NewPermissions(authzv1.NewAuthzServiceClient(server.As("identity")), m, func() time.Time { return now })
	want := func(modelAsked int, want ...string) {
		t.Helper()
		got, organization, err := p.Of(t.Context(), "u", "o")
		if err != nil || !slices.Equal(got, want) || len(organization) > 0 || m.asked != modelAsked {
			t.Fatalf("got %v, %v, %v with %d questions for the model; want %v with %d", got, organization, err, m.asked, want, modelAsked)
		}
	}
	want(1, "can_a", "can_b")
	m.release("can_a", "can_b", "can_c")
	now = now.Add(59 * time.Second)
	want(1, "can_a", "can_b")
	now = now.Add(time.Second)
	want(2, "can_a", "can_b", "can_c")
	m.release("can_c") // taken away: the kept names are refused, and read anew at once
	want(3, "can_c")
}

func TestWhoLeavesIsNotToldOfAnOutage(t *testing.T) {
	m := &model{names: []string{"can_a"}}
	server := grpctest.New(t, grpctest.Config{Program: "authz", Registrations: []grpcserver.Registration{
		{Desc: &authzv1.AuthzService_ServiceDesc, Impl: m},
	}})
	p := authz.NewPermissions(authzv1.NewAuthzServiceClient(server.As("identity")), m, time.Now)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := p.Of(ctx, "u", "o"); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want canceled", err)
	}
}
