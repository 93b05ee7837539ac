package fga

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	openfgav1 "github.com/openfga/api/proto/openfga/v1"
	"github.com/openfga/openfga/pkg/storage"

	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/relation"
)

// most is how many rows are read ahead; a check that could need more reads by itself.
const most = 200

// ahead is what one check is about to read, read in one query: OpenFGA asks the database for every
// relation of every object on its way, and the way to the database leads through two sidecars. It
// holds the object that is asked about, those that it points at, such as the organization of a user
// and the platform of that, and those whose sets take part, such as groups in groups, each with
//   - the relationships of the subject,
//   - those of sets of subjects,
//   - all of the relations that point.
//
// It also holds the groups that the subject is itself a member of. Whether there is an object, and
// what it leads to, does not change how often the database is asked (R93), up to that many rows.
//
// It lives as long as its check, and was read after that began: answers stay as fresh as without it.
type ahead struct {
	subject  string
	pointers []string
	objects  map[string]bool
	tuples   []*openfgav1.Tuple
	nests    []string           // types of
	groups   []*openfgav1.Tuple // of the subject
}

// selectAhead follows the pointers and the sets, and reads what there is at each object. Each part
// is a scan of one index.
const selectAhead = `
	with recursive objects (object_type, object_id) as (
		select @object_type::text, @object_id::text
		union
		select split_part(s.name, ':', 1), substr(s.name, strpos(s.name, ':') + 1)
		from objects o cross join lateral (
			select t._user as name from authz_fga.tuple t
			where t.store = @store and t.object_type = o.object_type and t.object_id = o.object_id and t.relation = any(@pointers) and t.user_type = 'user'
			union all
			select split_part(t._user, '#', 1) from authz_fga.tuple t
			where t.store = @store and t.object_type = o.object_type and t.object_id = o.object_id and t.relation = any(@relations) and t.user_type = 'userset'
		) s
	)
	select t.object_type || ':' || t.object_id as object, t.relation, t._user as subject, coalesce(t.condition_name, '') as condition, false as own
	from objects o cross join lateral (
		select * from authz_fga.tuple s
		where s.store = @store and s.object_type = o.object_type and s.object_id = o.object_id and s.relation = any(@relations) and s._user = @subject
		union all
		select * from authz_fga.tuple s
		where s.store = @store and s.object_type = o.object_type and s.object_id = o.object_id and s.relation = any(@relations) and s.user_type = 'userset'
		union all
		select * from authz_fga.tuple s
		where s.store = @store and s.object_type = o.object_type and s.object_id = o.object_id and s.relation = any(@pointers)
	) t
	union all
	select t.object_type || ':' || t.object_id, t.relation, t._user, coalesce(t.condition_name, ''), true
	from authz_fga.tuple t
	where t.store = @store and t._user = @subject and t.relation = any(@relations) and t.object_type = any(@nests)
	limit @most`

// readAhead returns nil where reading ahead does not pay. Like OpenFGA's reads it does not end with the caller: with the driver a query
// that is cancelled costs its connection.
func (e *Engine) readAhead(ctx context.Context, store, subject, object string) (*ahead, error) {
	kind, id, _ := strings.Cut(object, ":")
	if !e.rules.derives[kind] {
		return nil, nil // one relation, which the check reads by itself
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
	defer cancel()
	rows, err := e.pool.Query(bounded, selectAhead, e.aheadArgs(store, subject, kind, id))
	if err != nil {
		return nil, fmt.Errorf("read ahead of a check: %w", pg.Error(err))
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[held])
	if err != nil {
		return nil, fmt.Errorf("read ahead of a check: %w", pg.Error(err))
	}
	if len(found) > most {
		return nil, nil // the check reads by itself
	}
	a := &ahead{subject: subject, pointers: e.rules.pointers, nests: e.rules.nests, objects: map[string]bool{object: true}}
	for _, t := range found {
		if t.Condition != "" {
			return nil, nil // the check reads by itself
		}
		read := &openfgav1.Tuple{Key: &openfgav1.TupleKey{Object: t.Object, Relation: t.Relation, User: t.Subject}}
		if t.Own {
			a.groups = append(a.groups, read)
			continue
		}
		a.tuples = append(a.tuples, read)
		switch of, _, set := strings.Cut(t.Subject, "#"); {
		case set, slices.Contains(e.rules.pointers, t.Relation):
			a.objects[of] = true
		}
	}
	return a, nil
}

func (e *Engine) aheadArgs(store, subject, kind, id string) pgx.StrictNamedArgs {
	return pgx.StrictNamedArgs{
		"store": store, "object_type": kind, "object_id": id, "subject": subject,
		"pointers": e.rules.pointers, "relations": e.rules.holders, "nests": e.rules.nests, "most": most + 1,
	}
}

// held is a row that is read ahead.
type held struct {
	Object, Relation, Subject, Condition string

	Own bool // of a group of the subject, read for that
}

type aheadKey struct{}

func withAhead(ctx context.Context, a *ahead) context.Context {
	if a == nil {
		return ctx
	}
	return context.WithValue(ctx, aheadKey{}, a)
}

// aheadOf returns what was read ahead for the check of ctx, when that covers an object.
func aheadOf(ctx context.Context, object string, conditions []string) (*ahead, bool) {
	a, ok := ctx.Value(aheadKey{}).(*ahead)
	return a, ok && a.objects[object] && (len(conditions) == 0 || slices.Contains(conditions, ""))
}

// points reports whether all relationships of a relation were read.
func (a *ahead) points(name string) bool { return slices.Contains(a.pointers, name) }

// pointed answers Read of a relation that points. The filter's user is a type and a colon, or nothing.
func (a *ahead) pointed(f storage.ReadFilter) storage.TupleIterator {
	return a.iterator(f.Object, f.Relation, func(subject string) bool { return strings.HasPrefix(subject, f.User) })
}

// tuple answers ReadUserTuple.
func (a *ahead) tuple(f storage.ReadUserTupleFilter) (*openfgav1.Tuple, error) {
	for _, t := range a.tuples {
		if k := t.GetKey(); k.GetUser() == f.User && k.GetRelation() == f.Relation && k.GetObject() == f.Object {
			return t, nil
		}
	}
	return nil, storage.ErrNotFound
}

// sets answers ReadUsersetTuples.
func (a *ahead) sets(f storage.ReadUsersetTuplesFilter) storage.TupleIterator {
	return a.iterator(f.Object, f.Relation, func(subject string) bool {
		if !relation.IsSet(subject) {
			return false
		}
		return len(f.AllowedUserTypeRestrictions) == 0 || slices.ContainsFunc(f.AllowedUserTypeRestrictions, func(form *openfgav1.RelationReference) bool {
			return form.GetRelation() != "" && relation.Type(subject) == form.GetType() && strings.HasSuffix(subject, "#"+form.GetRelation())
		})
	})
}

// started answers ReadStartingWithUser of the subject itself, where that was read.
func (a *ahead) started(f storage.ReadStartingWithUserFilter) (storage.TupleIterator, bool) {
	if len(f.UserFilter) != 1 || f.UserFilter[0].GetObject() != a.subject || f.UserFilter[0].GetRelation() != "" || f.ObjectIDs != nil ||
		!slices.Contains(a.nests, f.ObjectType) || len(f.Conditions) > 0 && !slices.Contains(f.Conditions, "") {
		return nil, false
	}
	var found []*openfgav1.Tuple
	for _, t := range a.groups {
		if relation.Type(t.GetKey().GetObject()) == f.ObjectType && t.GetKey().GetRelation() == f.Relation {
			found = append(found, t)
		}
	}
	return unordered{storage.NewStaticTupleIterator(found)}, true
}

func (a *ahead) iterator(object, name string, admit func(subject string) bool) storage.TupleIterator {
	var found []*openfgav1.Tuple
	for _, t := range a.tuples {
		if k := t.GetKey(); k.GetObject() == object && k.GetRelation() == name && admit(k.GetUser()) {
			found = append(found, t)
		}
	}
	return unordered{storage.NewStaticTupleIterator(found)}
}

// unordered says of an iterator what is true of the rows of a query; OpenFGA prunes by the order of those that say that they are ordered.
type unordered struct{ storage.TupleIterator }

// IsOrdered implements storage.TupleIterator.
func (unordered) IsOrdered() bool { return false }
