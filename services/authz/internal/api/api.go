// Package api serves Authz's contract (proto/gatehouse/authz/v1): it turns requests into calls of the domain and of the engine and answers
// into messages, one file per RPC.
//
// The gRPC server has already verified who calls, whether they may, and the field rules of the request. Only the wiring and this service's tests
// import this package.
package api

import (
	"context"

	"github.com/gatehouse/gatehouse/internal/cursor"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/relation"
	"github.com/gatehouse/gatehouse/internal/request"
	authzv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1/reason"
	"github.com/gatehouse/gatehouse/services/authz/internal/fga"
	"github.com/gatehouse/gatehouse/services/authz/internal/relationship"
)

// Engine answers questions; *fga.Engine does.
type Engine interface {
	Check(ctx context.Context, subject string, asked []fga.Question) ([]bool, error)
	ListObjects(ctx context.Context, subject, relation, objectType string) ([]string, error)
	ListSubjects(ctx context.Context, object, relation, subjectType string) ([]string, error)
	Read(ctx context.Context, f fga.Filter, size int, pageToken string) ([]relation.Tuple, string, error)
	Model() fga.Model
	ReachOf(t relation.Tuple) (reach fga.Reach, known bool)
}

// defaultPage is the size of a page when the request names none.
const defaultPage = 50

// reader answers what both services ask.
type reader struct {
	engine    Engine
	relations *relationship.Service
}

// fresh waits until reads reflect the write that the request's token names: the one in the message, else the one beside it.
func (r reader) fresh(ctx context.Context, token string) error {
	if token == "" {
		token = request.Consistency(ctx)
	}
	return r.relations.Fresh(ctx, token)
}

// check answers questions. Ids have their one form from here on, as in everything else that is
// read.
func (r reader) check(ctx context.Context, token, subject string, asked ...fga.Question) ([]bool, error) {
	if err := r.fresh(ctx, token); err != nil {
		return nil, err
	}
	for i, q := range asked {
		asked[i].Object = relation.Canonical(q.Object)
	}
	return r.engine.Check(ctx, relation.Canonical(subject), asked)
}

// read is what the requests for a page of relationships have in common.
type read interface {
	GetObject() string
	GetRelation() string
	GetSubject() string
	GetPageSize() int32
	GetPageToken() string
	GetConsistencyToken() string
}

func (r reader) page(ctx context.Context, q read) ([]*authzv1.Relationship, string, error) {
	if err := r.fresh(ctx, q.GetConsistencyToken()); err != nil {
		return nil, "", err
	}
	size := int(q.GetPageSize())
	if size == 0 {
		size = defaultPage
	}
	tuples, next, err := r.engine.Read(ctx, fga.Filter{
		Object: relation.Canonical(q.GetObject()), Relation: q.GetRelation(), Subject: relation.Canonical(q.GetSubject()),
	}, size, q.GetPageToken())
	if err != nil {
		return nil, "", err
	}
	page := make([]*authzv1.Relationship, len(tuples))
	for i, t := range tuples {
		page[i] = &authzv1.Relationship{Object: t.Object, Relation: t.Relation, Subject: t.Subject}
	}
	return page, next, nil
}

// AuthzService serves gatehouse.authz.v1.AuthzService: what programs ask.
type AuthzService struct {
	authzv1.UnsafeAuthzServiceServer // a forgotten method does not compile
	reader
	authority relationship.Authority
	watching  *relationship.Watching
	cursors   *cursor.Texts
}

// AuthzParams are what an AuthzService is made of; all are required.
type AuthzParams struct {
	Relations *relationship.Service
	Engine    Engine
	Policy    relationship.Policy // which program may write which relationships
	Watching  *relationship.Watching
	Cursors   *cursor.Texts
}

// NewAuthzService returns the handlers.
func NewAuthzService(p AuthzParams) *AuthzService {
	return &AuthzService{
		reader: reader{engine: p.Engine, relations: p.Relations}, authority: relationship.NewAuthority(p.Policy),
		watching: p.Watching, cursors: p.Cursors,
	}
}

// RelationshipService serves gatehouse.authz.v1.RelationshipService: what administrators do.
type RelationshipService struct {
	authzv1.UnsafeRelationshipServiceServer
	reader
	newID func() string
}

// NewRelationshipService returns the handlers; newID makes the ids of their changes, UUIDs.
func NewRelationshipService(relations *relationship.Service, engine Engine, newID func() string) *RelationshipService {
	return &RelationshipService{reader: reader{engine: engine, relations: relations}, newID: newID}
}

// program is the mesh name of the calling program.
func program(ctx context.Context) (string, error) {
	c, ok := request.CallerFrom(ctx)
	if !ok || c.Service == "" {
		return "", reason.CallerRequired()
	}
	return c.Service, nil
}

func tuples(relationships []*authzv1.Relationship) []relation.Tuple {
	all := make([]relation.Tuple, len(relationships))
	for i, r := range relationships {
		all[i] = tuple(r)
	}
	return all
}

func tuple(r *authzv1.Relationship) relation.Tuple {
	return relation.Tuple{Object: r.GetObject(), Relation: r.GetRelation(), Subject: r.GetSubject()}
}

func preconditions(messages []*authzv1.Precondition) []relationship.Precondition {
	all := make([]relationship.Precondition, len(messages))
	for i, p := range messages {
		all[i] = relationship.Precondition{Tuple: tuple(p.GetRelationship()), Exists: p.GetExists()}
	}
	return all
}

func origin(o *authzv1.Origin) *relationship.Origin {
	if o == nil {
		return nil
	}
	return &relationship.Origin{
		Actor: event.Actor{Type: o.GetActorType(), ID: o.GetActorId()}, RequestID: o.GetRequestId(), TraceID: o.GetTraceId(),
	}
}
