package api_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/cursor"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/refusals"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/rpcstatus"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
	authzv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1"
	"github.com/gatehouse/gatehouse/services/authz/internal/api"
	"github.com/gatehouse/gatehouse/services/authz/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/authz/internal/relationship"
)

// service is Authz in memory: real chain, real engine, real database.
type service struct {
	*grpctest.Server
	instance *postgrestest.Instance
}

func newService(t *testing.T, options ...func(*grpctest.Config)) service {
	t.Helper()
	i := postgrestest.Open(t, postgrestest.Database(t), postgrestest.Options{})
	c := grpctest.Config{
		Program: "authz", Callers: grpctest.Consenting(t), Permissions: api.NewPermissions(i.Service, i.Engine), Refusals: refusals.New(i.Outbox),
		Registrations: []grpcserver.Registration{
			{Desc: &authzv1.AuthzService_ServiceDesc, Impl: newHandlers(t, i, i.Service)},
			{Desc: &authzv1.RelationshipService_ServiceDesc, Impl: api.NewRelationshipService(i.Service, i.Engine, uuid.NewString)},
		},
	}
	for _, o := range options {
		o(&c)
	}
	return service{instance: i, Server: grpctest.New(t, c)}
}

func newHandlers(t *testing.T, i *postgrestest.Instance, relations *relationship.Service) *api.AuthzService {
	t.Helper()
	return api.NewAuthzService(api.AuthzParams{
		Relations: relations, Engine: i.Engine, Policy: meshtest.Definition(t),
		Watching: relationship.NewWatching(i.Store, 10*time.Millisecond), Cursors: cursor.NewTexts(i.Store, relationship.KeepChanges, time.Now),
	})
}

func (s service) program(name string) authzv1.AuthzServiceClient {
	return authzv1.NewAuthzServiceClient(s.As(name))
}

func (s service) person(id string) authzv1.RelationshipServiceClient {
	return authzv1.NewRelationshipServiceClient(s.AsUser(s.Tokens.Claims(id)))
}

// administrator makes somebody administrator as Auth does.
func (s service) administrator(t *testing.T) string {
	t.Helper()
	id := uuid.NewString()
	_, err := s.program("auth").WriteRelationships(t.Context(), change("platform:gatehouse#administrator@user:"+id))
	check.NoError(t, err)
	return id
}

func relationships(texts ...string) []*authzv1.Relationship {
	all := make([]*authzv1.Relationship, len(texts))
	for i, text := range texts {
		left, subject, _ := strings.Cut(text, "@")
		object, relation, _ := strings.Cut(left, "#")
		all[i] = &authzv1.Relationship{Object: object, Relation: relation, Subject: subject}
	}
	return all
}

func change(writes ...string) *authzv1.WriteRelationshipsRequest {
	return &authzv1.WriteRelationshipsRequest{Id: uuid.NewString(), Writes: relationships(writes...)}
}

// What follows from facts is written by their owners and read by every program, with the token of the write.
func TestProgramsWriteAndAsk(t *testing.T) {
	t.Parallel()
	s := newService(t)
	identity, other := s.program("identity"), s.program("billing")
	request := change("organization:o#platform@platform:gatehouse", "organization:o#owner@user:u", "organization:o#member@user:v", "user:v#organization@organization:o")
	request.Id = strings.ToUpper(request.GetId())
	written, err := identity.WriteRelationships(t.Context(), request)
	check.NoError(t, err)
	request.Id = strings.ToLower(request.GetId())
	_, err = identity.WriteRelationships(t.Context(), request) // ids are one, however they are spelled
	check.NoError(t, err)
	if got := len(s.instance.Events(t)); got != 1 {
		t.Errorf("%d audit rows of one change, want 1", got)
	}
	token := written.GetConsistencyToken()

	single, err := other.Check(t.Context(), &authzv1.CheckRequest{Subject: "user:u", Relation: "can_update", Object: "organization:o", ConsistencyToken: token})
	check.NoError(t, err)
	batch, err := other.BatchCheck(t.Context(), &authzv1.BatchCheckRequest{Subject: "user:v", ConsistencyToken: token, Questions: []*authzv1.Question{
		{Relation: "can_update", Object: "organization:o"}, {Relation: "can_read", Object: "organization:o"},
	}})
	check.NoError(t, err)
	if !single.GetAllowed() || !slices.Equal(batch.GetAllowed(), []bool{false, true}) {
		t.Errorf("got %v and %v", single, batch)
	}
	objects, err := other.ListObjects(t.Context(), &authzv1.ListObjectsRequest{Subject: "user:u", Relation: "can_read", ObjectType: "organization", ConsistencyToken: token})
	check.NoError(t, err)
	subjects, err := other.ListSubjects(t.Context(), &authzv1.ListSubjectsRequest{Object: "organization:o", Relation: "member", SubjectType: "user", ConsistencyToken: token})
	check.NoError(t, err)
	if !slices.Equal(objects.GetObjects(), []string{"organization:o"}) || !slices.Equal(slices.Sorted(slices.Values(subjects.GetSubjects())), []string{"user:u", "user:v"}) {
		t.Errorf("got %v and %v", objects, subjects)
	}
	if got := readAll(t, other, &authzv1.ReadRelationshipsRequest{Object: "organization:o", PageSize: 2}); len(got) != 3 {
		t.Errorf("read %v", got)
	}
	model, err := other.GetModel(t.Context(), &authzv1.GetModelRequest{})
	check.NoError(t, err)
	if model.GetId() == "" || !strings.Contains(model.GetSource(), "schema 1.1") || len(model.GetTypes()) < 5 {
		t.Errorf("got %v", model)
	}
}

func readAll(t *testing.T, c authzv1.AuthzServiceClient, r *authzv1.ReadRelationshipsRequest) []*authzv1.Relationship {
	t.Helper()
	var all []*authzv1.Relationship
	for {
		page, err := c.ReadRelationships(t.Context(), r)
		check.NoError(t, err)
		all = append(all, page.GetRelationships()...)
		if r.PageToken = page.GetNextPageToken(); r.GetPageToken() == "" {
			return all
		}
	}
}

// A program writes what follows from its own facts and nothing else; what it is refused is in the trail.
func TestProgramsWriteOnlyTheirOwn(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for name, r := range map[string]*authzv1.WriteRelationshipsRequest{
		"identity": change("platform:gatehouse#administrator@user:u"),
		"auth":     change("organization:o#owner@user:u"),
	} {
		_, err := s.program(name).WriteRelationships(t.Context(), r)
		wantError(t, err, apierr.PermissionDenied, "RELATIONSHIP_NOT_OWNED")
	}
	for _, name := range []string{"billing", "gateway", "audit"} { // without consent
		_, err := s.program(name).WriteRelationships(t.Context(), change("organization:o#owner@user:u"))
		if failure(t, err).Kind != apierr.PermissionDenied {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for _, e := range s.instance.Events(t) {
		if e.Outcome != event.Denied {
			t.Errorf("a refused change has the audit row %+v", e)
		}
	}
	if got := readAll(t, s.program("billing"), &authzv1.ReadRelationshipsRequest{}); len(got) > 0 {
		t.Errorf("refused and written: %v", got)
	}
}

// R50, R63: only administrators reach the public routes; what they grant and revoke counts in the next request.
func TestAdministratorsGrantAndRevoke(t *testing.T) {
	t.Parallel()
	s := newService(t)
	root, user := s.administrator(t), uuid.NewString()
	grant := relationships("platform:gatehouse#administrator@user:" + user)
	ask := &authzv1.CheckRelationshipRequest{Subject: "user:" + user, Relation: "can_read_audit", Object: "platform:gatehouse"}

	for _, err := range []error{
		second(s.person(user).CheckRelationship(t.Context(), ask)),
		second(s.person(user).ListRelationships(t.Context(), &authzv1.ListRelationshipsRequest{})),
		second(s.person(user).UpdateRelationships(t.Context(), &authzv1.UpdateRelationshipsRequest{Writes: grant})),
	} {
		wantError(t, err, apierr.PermissionDenied, "PERMISSION_DENIED")
	}
	var trailer metadata.MD
	granted, err := s.person(root).UpdateRelationships(t.Context(), &authzv1.UpdateRelationshipsRequest{Writes: grant}, grpc.Trailer(&trailer))
	check.NoError(t, err)
	if got := trailer.Get(request.ConsistencyHeader); len(got) != 1 || got[0] != granted.GetConsistencyToken() {
		t.Errorf("the trailer has the token %v, the answer %q", got, granted.GetConsistencyToken())
	}
	answer, err := s.person(user).CheckRelationship(t.Context(), ask)
	if err != nil || !answer.GetAllowed() {
		t.Errorf("got %v, %v", answer, err)
	}
	_, err = s.person(root).UpdateRelationships(t.Context(), &authzv1.UpdateRelationshipsRequest{Deletes: grant})
	check.NoError(t, err)
	wantError(t, second(s.person(user).CheckRelationship(t.Context(), ask)), apierr.PermissionDenied, "PERMISSION_DENIED")
	_, err = s.person(root).UpdateRelationships(t.Context(), &authzv1.UpdateRelationshipsRequest{
		Writes: grant, Preconditions: []*authzv1.Precondition{{Relationship: grant[0], Exists: true}},
	})
	wantError(t, err, apierr.FailedPrecondition, "PRECONDITION_FAILED")
	last := slices.DeleteFunc(s.instance.Events(t), func(e event.Event) bool { return e.Outcome != event.Success })
	if e := last[len(last)-1]; e.Actor.ID != root || e.Actor.SessionID == "" || e.Changes[0].Field != "deletes" || e.ObjectType != "platform" {
		t.Errorf("the last audit row is %+v", e)
	}
}

// The token of a fact that never arrives is an answer that is not given, by any way in which a request carries it.
func TestTokenOfAFactThatIsNotThere(t *testing.T) {
	t.Parallel()
	s := newService(t)
	root := s.administrator(t)
	token := request.TokenOf(uuid.NewString()).String()
	ctx, cancel := shortly(t)
	defer cancel()
	_, err := s.program("billing").Check(ctx, &authzv1.CheckRequest{Subject: "user:u", Relation: "member", Object: "organization:o", ConsistencyToken: token})
	wantError(t, err, apierr.Unavailable, "NOT_FRESH_ENOUGH")
	ctx, cancel = shortly(t)
	defer cancel()
	_, err = s.person(root).ListRelationships(metadata.AppendToOutgoingContext(ctx, request.ConsistencyHeader, token), &authzv1.ListRelationshipsRequest{})
	wantError(t, err, apierr.Unavailable, "NOT_FRESH_ENOUGH")
	_, err = s.program("billing").Check(t.Context(), &authzv1.CheckRequest{Subject: "user:u", Relation: "member", Object: "organization:o", ConsistencyToken: "x"})
	wantError(t, err, apierr.InvalidArgument, "INVALID_CONSISTENCY_TOKEN")
}

// What the model does not know, and a set of subjects as the subject of a question, is the asker's mistake.
func TestQuestionsThatHaveNoAnswer(t *testing.T) {
	t.Parallel()
	s := newService(t)
	c := s.program("billing")
	for _, r := range []*authzv1.CheckRequest{
		{Subject: "user:u", Relation: "flies", Object: "organization:o"},
		{Subject: "user:u", Relation: "member", Object: "planet:o"},
		{Subject: "group:g#member", Relation: "member", Object: "organization:o"},
		{Subject: "user:*", Relation: "member", Object: "organization:o"},
		{},
	} {
		if _, err := c.Check(t.Context(), r); failure(t, err).Kind != apierr.InvalidArgument {
			t.Errorf("%v: got %v", r, err)
		}
	}
	for _, r := range []*authzv1.WriteRelationshipsRequest{
		{Id: uuid.NewString()},
		change("organization:o#can_read@user:u"),
		change("user:u#organization@user:u"),
	} {
		if _, err := s.program("identity").WriteRelationships(t.Context(), r); err == nil || failure(t, err).Kind == apierr.Internal {
			t.Errorf("%v: got %v", r, err)
		}
	}
}

// R92: what cannot be a name is refused wherever a change carries one.
func TestNamesThatCannotBeStoredAreRefused(t *testing.T) {
	t.Parallel()
	s := newService(t)
	administrator, identity := s.person(s.administrator(t)), s.program("identity")
	for _, id := range []string{"a\x00b", "a\u009b31m", "\u2028"} {
		bad, good := relationships("group:g#member@user:"+id), relationships("group:g#member@user:u")
		for _, r := range []*authzv1.UpdateRelationshipsRequest{
			{Writes: bad},
			{Deletes: bad},
			{Deletes: relationships("group:" + id + "#member@user:u")},
			{Writes: good, Preconditions: []*authzv1.Precondition{{Relationship: bad[0], Exists: true}}},
		} {
			wantError(t, second(administrator.UpdateRelationships(t.Context(), r)), apierr.InvalidArgument, "INVALID_RELATIONSHIP")
		}
		_, err := identity.WriteRelationships(t.Context(), &authzv1.WriteRelationshipsRequest{Id: uuid.NewString(), DeleteAllOf: "user:" + id})
		wantError(t, err, apierr.InvalidArgument, "INVALID_ARGUMENT")
	}
}

func shortly(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeout(t.Context(), 3*time.Second) // of which the answer keeps a tenth
}

// second drops an answer that is not wanted.
func second[T any](_ T, err error) error { return err }

// failure reads the status as another program would.
func failure(t *testing.T, err error) *apierr.Error {
	t.Helper()
	if err == nil {
		t.Fatal("the call succeeded")
	}
	return rpcstatus.ToError(status.Convert(err))
}

func wantError(t *testing.T, err error, kind apierr.Kind, reason string) {
	t.Helper()
	if got := failure(t, err); !errors.Is(got, apierr.New(kind, reason, "")) {
		t.Fatalf("got %v, want %s", err, reason)
	}
}
