package authz

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/gatehouse/gatehouse/internal/access"
	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/client/clienttest"
	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/internal/relation"
	"github.com/gatehouse/gatehouse/internal/request"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	authzv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// authz is an Authz under the test's control.
type authz struct {
	authzv1.UnimplementedAuthzServiceServer
	batchCheck func(ctx context.Context, r *authzv1.BatchCheckRequest) (*authzv1.BatchCheckResponse, error)
	write      func(r *authzv1.WriteRelationshipsRequest) error
	written    []*authzv1.WriteRelationshipsRequest
}

func (a *authz) BatchCheck(ctx context.Context, r *authzv1.BatchCheckRequest) (*authzv1.BatchCheckResponse, error) {
	return a.batchCheck(ctx, r)
}

func (a *authz) WriteRelationships(_ context.Context, r *authzv1.WriteRelationshipsRequest) (*authzv1.WriteRelationshipsResponse, error) {
	a.written = append(a.written, r)
	if a.write != nil {
		if err := a.write(r); err != nil {
			return nil, err
		}
	}
	return &authzv1.WriteRelationshipsResponse{ConsistencyToken: "t"}, nil
}

func asClient(t *testing.T, a *authz) authzv1.AuthzServiceClient {
	t.Helper()
	return Client(clienttest.Dial(t, "identity", Name, grpcserver.Registration{Desc: &authzv1.AuthzService_ServiceDesc, Impl: a}))
}

var questions = []access.Question{{Relation: "can_read", Object: "user:a"}, {Relation: "can_read", Object: "organization:b"}}

func TestPermissions(t *testing.T) {
	token := request.TokenOf("11111111-1111-4111-8111-111111111111").String()
	a := &authz{batchCheck: func(ctx context.Context, r *authzv1.BatchCheckRequest) (*authzv1.BatchCheckResponse, error) {
		want := &authzv1.BatchCheckRequest{Subject: "user:me", ConsistencyToken: token, Questions: []*authzv1.Question{
			{Relation: "can_read", Object: "user:a"}, {Relation: "can_read", Object: "organization:b"},
		}}
		if diff := cmp.Diff(want, r, protocmp.Transform()); diff != "" {
			t.Errorf("asked (-want +got):\n%s", diff)
		}
		if until, ok := ctx.Deadline(); !ok || time.Until(until) > askTimeout {
			t.Errorf("the question has until %v, %v", until, ok)
		}
		return &authzv1.BatchCheckResponse{Allowed: []bool{false, true}}, nil
	}}
	got, err := Permissions(asClient(t, a)).Allowed(t.Context(), "user:me", questions, token)
	if err != nil || !slices.Equal(got, []bool{false, true}) {
		t.Errorf("answers are %v, %v", got, err)
	}
}

// R62: every failure is an error. What of it is told is the server's part
// (TestUndecidedPermissions).
func TestPermissionsThatCannotBeAsked(t *testing.T) {
	waits := func(ctx context.Context, _ *authzv1.BatchCheckRequest) (*authzv1.BatchCheckResponse, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	fails := func(err error) func(context.Context, *authzv1.BatchCheckRequest) (*authzv1.BatchCheckResponse, error) {
		return func(context.Context, *authzv1.BatchCheckRequest) (*authzv1.BatchCheckResponse, error) {
			return nil, err
		}
	}
	for name, c := range map[string]struct {
		answer func(context.Context, *authzv1.BatchCheckRequest) (*authzv1.BatchCheckResponse, error)
		kind   apierr.Kind
		reason string
	}{
		"down":        {fails(apierr.New(apierr.Unavailable, "DATABASE_UNAVAILABLE", "down")), apierr.Unavailable, "DATABASE_UNAVAILABLE"},
		"slow":        {waits, apierr.DeadlineExceeded, "DEADLINE_EXCEEDED"},
		"denied":      {fails(apierr.New(apierr.PermissionDenied, "CALLER_NOT_ADMITTED", "no")), apierr.PermissionDenied, "CALLER_NOT_ADMITTED"},
		"not fresh":   {fails(apierr.New(apierr.Unavailable, "NOT_FRESH_ENOUGH", "later")), apierr.Unavailable, "NOT_FRESH_ENOUGH"},
		"a bad token": {fails(apierr.New(apierr.InvalidArgument, "INVALID_CONSISTENCY_TOKEN", "bad")), apierr.InvalidArgument, "INVALID_CONSISTENCY_TOKEN"},
		"a defect":    {fails(errors.New("defect")), apierr.Internal, "INTERNAL"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			if name == "slow" {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, 50*time.Millisecond)
				defer cancel()
			}
			got, err := Permissions(asClient(t, &authz{batchCheck: c.answer})).Allowed(ctx, "user:me", questions, "")
			if e := apierr.From(err); got != nil || e == nil || e.Kind != c.kind || e.Reason != c.reason {
				t.Errorf("answers are %v, %v", got, err)
			}
		})
	}
	t.Run("not fresh, and the time is used up", func(t *testing.T) {
		calls := 0
		a := &authz{batchCheck: func(context.Context, *authzv1.BatchCheckRequest) (*authzv1.BatchCheckResponse, error) {
			calls++
			return nil, apierr.New(apierr.Unavailable, "NOT_FRESH_ENOUGH", "later")
		}}
		_, err := Permissions(asClient(t, a)).Allowed(t.Context(), "user:me", questions, "")
		if e := apierr.From(err); e.Reason != "NOT_FRESH_ENOUGH" || calls != 1 {
			t.Errorf("%d calls end with %v, want one: Authz has waited already", calls, err)
		}
	})
	t.Run("the asker has gone", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		a := &authz{batchCheck: func(ctx context.Context, r *authzv1.BatchCheckRequest) (*authzv1.BatchCheckResponse, error) {
			cancel()
			return waits(ctx, r)
		}}
		if _, err := Permissions(asClient(t, a)).Allowed(ctx, "user:me", questions, ""); apierr.From(err).Kind != apierr.Canceled {
			t.Errorf("the error is %v", err)
		}
	})
}

const (
	changeA = "aaaaaaaa-1111-4111-8111-111111111111"
	changeB = "bbbbbbbb-1111-4111-8111-111111111111"
	changeC = "cccccccc-1111-4111-8111-111111111111"
)

func payload(id, text string) outbox.Message {
	return outbox.Message{ID: id, Topic: Topic, Key: "user:u", Payload: []byte(text)}
}

func TestRelationships(t *testing.T) {
	a := &authz{}
	deliver := Relationships(asClient(t, a))
	poison, err := deliver(t.Context(), []outbox.Message{
		payload(changeA, `{"change":{"writes":[{"object":"organization:o","relation":"member","subject":"user:u"}]},"origin":{"actor_type":"user","actor_id":"u","request_id":"r","trace_id":"t"}}`),
		payload(changeB, `not JSON`),
		payload(changeC, `{"change":{"delete_all_of":"user:u","deletes":[{"object":"group:g","relation":"member","subject":"user:u"}]},"origin":{"actor_type":""}}`),
	})
	if err != nil || len(poison) != 1 || poison[0].ID != changeB || poison[0].Reason == "" {
		t.Errorf("poison %+v, %v", poison, err)
	}
	want := []*authzv1.WriteRelationshipsRequest{
		{
			Id: changeA, Writes: []*authzv1.Relationship{{Object: "organization:o", Relation: "member", Subject: "user:u"}},
			Origin: &authzv1.Origin{ActorType: "user", ActorId: "u", RequestId: "r", TraceId: "t"},
		},
		{Id: changeC, DeleteAllOf: "user:u", Deletes: []*authzv1.Relationship{{Object: "group:g", Relation: "member", Subject: "user:u"}}},
	}
	if diff := cmp.Diff(want, a.written, protocmp.Transform()); diff != "" {
		t.Errorf("written (-want +got):\n%s", diff)
	}
}

// What Authz will never accept is poison; everything else comes again, and nothing after it
// overtakes it.
func TestRelationshipsThatFail(t *testing.T) {
	good := `{"change":{"writes":[{"object":"organization:o","relation":"member","subject":"user:u"}]},"origin":{}}`
	for name, c := range map[string]struct {
		err    error
		poison bool
	}{
		"invalid":          {apierr.New(apierr.InvalidArgument, "UNKNOWN_RELATION", "no such relation"), true},
		"not ours":         {apierr.New(apierr.PermissionDenied, "NOT_OWNED", "another program's"), true},
		"precondition":     {apierr.New(apierr.FailedPrecondition, "PRECONDITION_FAILED", "no"), true},
		"a missing edge":   {apierr.New(apierr.PermissionDenied, "CALLER_NOT_ADMITTED", "no"), false},
		"a missing caller": {apierr.New(apierr.PermissionDenied, "CALLER_UNKNOWN", "no"), false},
		"busy":             {apierr.New(apierr.ResourceExhausted, "BUSY", "busy"), false},
		"a defect":         {errors.New("defect"), false},
	} {
		t.Run(name, func(t *testing.T) {
			a := &authz{write: func(r *authzv1.WriteRelationshipsRequest) error {
				if r.GetId() == changeA {
					return c.err
				}
				return nil
			}}
			poison, err := Relationships(asClient(t, a))(t.Context(), []outbox.Message{payload(changeA, good), payload(changeB, good)})
			if c.poison {
				if err != nil || len(poison) != 1 || poison[0].ID != changeA || len(a.written) != 2 {
					t.Errorf("poison %+v, %v after %d calls", poison, err, len(a.written))
				}
				return
			}
			if err == nil || len(poison) != 0 || len(a.written) != 1 {
				t.Errorf("poison %+v, %v after %d calls", poison, err, len(a.written))
			}
		})
	}
}

// The largest change that a service may append is one that the contract admits.
func TestLargestChangeFits(t *testing.T) {
	change := relation.Change{Writes: slices.Repeat([]relation.Tuple{{Object: "organization:o", Relation: "member", Subject: "user:u"}}, relation.MaxTuples)}
	a := &authz{}
	if _, err := asClient(t, a).WriteRelationships(t.Context(), requestOf(changeA, Change{Change: change})); err != nil {
		t.Error(err)
	}
}
