package fga

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"
	openfgav1 "github.com/openfga/api/proto/openfga/v1"
	"github.com/openfga/language/pkg/go/transformer"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/relation"
	"github.com/gatehouse/gatehouse/services/authz/internal/model"
)

// rules are what the model says about which relationships may be written and asked for.
type rules struct {
	source string
	model  *openfgav1.AuthorizationModel
	// subjects of each relation of each type: "user" or "group#member". A relation to which nothing can be written has none.
	subjects map[string]map[string][]string

	pointers []string        // relations that lead from one object to another: "organization" of a user
	holders  []string        // other relations that can be written
	derives  map[string]bool // types with a relation that follows from others
	nests    []string        // types whose sets may hold sets of their own type: "group"

	from map[string][]string // types from whose objects relations lead to those of a type
}

func embeddedRules() (*rules, error) {
	parsed, err := transformer.TransformDSLToProto(model.Source())
	if err != nil {
		return nil, fmt.Errorf("read the authorization model: %w", err)
	}
	r := &rules{source: model.Source(), model: parsed, subjects: map[string]map[string][]string{}}
	for _, definition := range parsed.GetTypeDefinitions() {
		relations := map[string][]string{}
		for name := range definition.GetRelations() {
			relations[name] = nil
			for _, subject := range definition.GetMetadata().GetRelations()[name].GetDirectlyRelatedUserTypes() {
				form := subject.GetType()
				if subject.GetRelation() != "" {
					form += "#" + subject.GetRelation()
				}
				relations[name] = append(relations[name], form)
			}
		}
		r.subjects[definition.GetType()] = relations
		for name, forms := range relations {
			if own := definition.GetType(); slices.Contains(forms, own+"#"+name) && !slices.Contains(r.nests, own) {
				r.nests = append(r.nests, own)
			}
		}
	}
	r.lookAtRewrites()
	r.from = r.leads()
	return r, nil
}

// lookAtRewrites says which relations point, and which types derive relations.
func (r *rules) lookAtRewrites() {
	pointers, holders := map[string]bool{}, map[string]bool{}
	r.derives = map[string]bool{}
	for _, definition := range r.model.GetTypeDefinitions() {
		for name, rewrite := range definition.GetRelations() {
			if len(r.subjects[definition.GetType()][name]) > 0 {
				holders[name] = true
			}
			if rewrite.GetThis() == nil {
				r.derives[definition.GetType()] = true
			}
			pointing(rewrite, pointers)
		}
	}
	for name := range pointers {
		delete(holders, name)
	}
	r.pointers, r.holders = slices.Sorted(maps.Keys(pointers)), slices.Sorted(maps.Keys(holders))
}

// pointing collects the relations that a rewrite follows to another object.
func pointing(rewrite *openfgav1.Userset, into map[string]bool) {
	if follow := rewrite.GetTupleToUserset(); follow != nil {
		into[follow.GetTupleset().GetRelation()] = true
	}
	children := slices.Concat(rewrite.GetUnion().GetChild(), rewrite.GetIntersection().GetChild())
	if d := rewrite.GetDifference(); d != nil {
		children = append(children, d.GetBase(), d.GetSubtract())
	}
	for _, child := range children {
		pointing(child, into)
	}
}

func (r *rules) types() []Type {
	var all []Type
	for _, name := range slices.Sorted(maps.Keys(r.subjects)) {
		all = append(all, Type{Name: name, Relations: slices.Sorted(maps.Keys(r.subjects[name]))})
	}
	return all
}

// Validate checks that the model lets a relationship be written. Errors are InvalidArgument INVALID_RELATIONSHIP.
func (e *Engine) Validate(t relation.Tuple) error { return e.rules.writable(t) }

func (r *rules) writable(t relation.Tuple) error {
	if err := t.Validate(); err != nil {
		return err
	}
	if err := r.known(relation.Type(t.Object), t.Relation); err != nil {
		return err
	}
	subjects := r.subjects[relation.Type(t.Object)][t.Relation]
	if len(subjects) == 0 {
		return invalid("%s of %s follows from other relations: write one of those", t.Relation, relation.Type(t.Object))
	}
	form := relation.Type(t.Subject)
	if _, member, ok := strings.Cut(t.Subject, "#"); ok {
		form += "#" + member
	}
	switch {
	case !slices.Contains(subjects, form):
		return invalid("the subject of %s of %s is %s, not %s", t.Relation, relation.Type(t.Object), strings.Join(subjects, ", "), form)
	case otherSpelling(t.Object) || otherSpelling(t.Subject):
		return invalid("%s names a user or an organization that cannot be: write a UUID as 8-4-4-4-12 digits with hyphens", t)
	case t.Object+"#"+t.Relation == t.Subject:
		return invalid("%s says nothing: a set has itself as its members", t)
	}
	return nil
}

// otherSpelling reports whether a user or an organization, whose ids are UUIDs, is named by one
// without hyphens or in braces: PostgreSQL and Go's parser take these for the same id, and no check
// ever would.
func otherSpelling(name string) bool {
	kind, id, _ := strings.Cut(name, ":")
	return (kind == "user" || kind == "organization") && len(id) != len(uuid.Nil.String()) && uuid.Validate(id) == nil
}

// known checks that a type has a relation.
func (r *rules) known(objectType, name string) error {
	relations, ok := r.subjects[objectType]
	if !ok {
		return invalid("there is no type %s in the authorization model", objectType)
	}
	if _, ok := relations[name]; !ok {
		return invalid("type %s has no relation %s", objectType, name)
	}
	return nil
}

// asker checks the subject of a question. The weighted algorithm answers wrongly when that is a set of subjects.
func (r *rules) asker(subject string) error {
	switch {
	case relation.IsSet(subject):
		return invalid("a set of subjects cannot be asked about: name one subject as type:id")
	case !relation.IsObject(subject):
		return invalid("the subject of a question is written type:id")
	case r.subjects[relation.Type(subject)] == nil:
		return invalid("there is no type %s in the authorization model", relation.Type(subject))
	}
	return nil
}

// object checks an object of a type of the model.
func (r *rules) object(object string) error {
	switch {
	case !relation.IsObject(object):
		return invalid("an object is written type:id")
	case r.subjects[relation.Type(object)] == nil:
		return invalid("there is no type %s in the authorization model", relation.Type(object))
	}
	return nil
}

func invalid(format string, args ...any) error {
	return apierr.InvalidRelationship().Saying(fmt.Sprintf(format, args...))
}
