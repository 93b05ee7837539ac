package fga

import (
	"context"
	"slices"

	openfgav1 "github.com/openfga/api/proto/openfga/v1"
	"golang.org/x/sync/errgroup"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/relation"
)

// Question is one relation to one object.
type Question struct{ Relation, Object string }

// parallel is how many questions of one batch are evaluated at a time: more would only wait for connections.
const parallel = 4

// Check answers whether the subject has the relations that are asked for, in their order: all or an error. What the model does not
// know, and a set of subjects as the subject, is InvalidArgument.
//
// The questions are not answered by one snapshot: each answer is at least as fresh as the moment of the call.
func (e *Engine) Check(ctx context.Context, subject string, asked []Question) ([]bool, error) {
	at, err := e.loaded()
	if err != nil {
		return nil, err
	}
	if err := e.rules.asker(subject); err != nil {
		return nil, err
	}
	for _, q := range asked {
		if err := e.rules.question(q); err != nil {
			return nil, err
		}
	}
	allowed := make([]bool, len(asked))
	if len(asked) == 1 {
		allowed[0], err = e.checkAhead(ctx, at, subject, asked[0])
		return allowed, translate(ctx, err)
	}
	group, each := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i, q := range asked {
		group.Go(func() (err error) {
			defer apierr.Recover(&err)
			allowed[i], err = e.checkAhead(each, at, subject, q)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, translate(ctx, err)
	}
	return allowed, nil
}

func (r *rules) question(q Question) error {
	if err := r.object(q.Object); err != nil {
		return err
	}
	return r.known(relation.Type(q.Object), q.Relation)
}

// checkAhead answers one question with what one query reads, and what that did not find.
func (e *Engine) checkAhead(ctx context.Context, at *loaded, subject string, q Question) (bool, error) {
	a, err := e.readAhead(ctx, at.store, subject, q.Object)
	if err != nil {
		return false, err
	}
	return at.check(withAhead(ctx, a), subject, q)
}

func (l *loaded) check(ctx context.Context, subject string, q Question) (bool, error) {
	answer, err := l.server.Check(ctx, &openfgav1.CheckRequest{
		StoreId: l.store, AuthorizationModelId: l.model,
		TupleKey:    &openfgav1.CheckRequestTupleKey{User: subject, Relation: q.Relation, Object: q.Object},
		Consistency: openfgav1.ConsistencyPreference_HIGHER_CONSISTENCY,
	})
	return answer.GetAllowed(), err
}

// ListObjects returns the objects of a type, "type:id", to which the subject has the relation: sorted, 1,000 at most.
func (e *Engine) ListObjects(ctx context.Context, subject, name, objectType string) ([]string, error) {
	at, err := e.loaded()
	if err != nil {
		return nil, err
	}
	if err := e.rules.asker(subject); err != nil {
		return nil, err
	}
	if err := e.rules.known(objectType, name); err != nil {
		return nil, err
	}
	return list(ctx, func(ctx context.Context) ([]string, error) {
		answer, err := at.server.ListObjects(ctx, &openfgav1.ListObjectsRequest{
			StoreId: at.store, AuthorizationModelId: at.model, Type: objectType, Relation: name, User: subject,
			Consistency: openfgav1.ConsistencyPreference_HIGHER_CONSISTENCY,
		})
		return answer.GetObjects(), err
	})
}

// list runs one list and sorts it. A list that its deadline cut is an error: OpenFGA answers with what it has found until then.
func list(ctx context.Context, fn func(ctx context.Context) ([]string, error)) ([]string, error) {
	bounded, cancel := context.WithTimeout(ctx, listBudget)
	defer cancel()
	found, err := fn(bounded)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case bounded.Err() != nil:
		return nil, busy(bounded.Err())
	case err != nil:
		return nil, translate(ctx, err)
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

// ListSubjects returns the subjects of a type, "type:id", that have the relation to the object: sorted, 1,000 at most.
func (e *Engine) ListSubjects(ctx context.Context, object, name, subjectType string) ([]string, error) {
	at, err := e.loaded()
	if err != nil {
		return nil, err
	}
	if err := e.rules.question(Question{Relation: name, Object: object}); err != nil {
		return nil, err
	}
	if e.rules.subjects[subjectType] == nil {
		return nil, invalid("there is no type %s in the authorization model", subjectType)
	}
	kind := relation.Type(object)
	return list(ctx, func(ctx context.Context) (subjects []string, err error) {
		answer, err := at.server.ListUsers(ctx, &openfgav1.ListUsersRequest{
			StoreId: at.store, AuthorizationModelId: at.model, Relation: name,
			Object:      &openfgav1.Object{Type: kind, Id: object[len(kind)+1:]},
			UserFilters: []*openfgav1.UserTypeFilter{{Type: subjectType}},
			Consistency: openfgav1.ConsistencyPreference_HIGHER_CONSISTENCY,
		})
		for _, u := range answer.GetUsers() {
			if o := u.GetObject(); o != nil {
				subjects = append(subjects, o.GetType()+":"+o.GetId())
			}
		}
		return subjects, err
	})
}
