package fga_test

import (
	openfgav1 "github.com/openfga/api/proto/openfga/v1"

	"github.com/gatehouse/gatehouse/internal/relation"
)

// reference answers by the model's definition: it derives relationships until nothing new follows. It is slow and has no depth.
type reference struct {
	model   *openfgav1.AuthorizationModel
	tuples  []relation.Tuple
	objects map[string]bool
	holds   map[relation.Tuple]bool // with single subjects only
}

func newReference(model *openfgav1.AuthorizationModel, tuples []relation.Tuple) *reference {
	r := &reference{model: model, tuples: tuples, objects: map[string]bool{}, holds: map[relation.Tuple]bool{}}
	for _, t := range tuples {
		r.objects[t.Object] = true
		object, _ := cut(t.Subject)
		r.objects[object] = true
	}
	for before := -1; before != len(r.holds); {
		before = len(r.holds)
		r.derive()
	}
	return r
}

// derive applies every rule once.
func (r *reference) derive() {
	for _, definition := range r.model.GetTypeDefinitions() {
		for object := range r.objects {
			if relation.Type(object) != definition.GetType() {
				continue
			}
			for name, rule := range definition.GetRelations() {
				for subject := range r.subjects(object, name, rule) {
					r.holds[relation.Tuple{Object: object, Relation: name, Subject: subject}] = true
				}
			}
		}
	}
}

func (r *reference) subjects(object, name string, rule *openfgav1.Userset) map[string]bool {
	found := map[string]bool{}
	add := func(object, name string) {
		for t := range r.holds {
			if t.Object == object && t.Relation == name {
				found[t.Subject] = true
			}
		}
	}
	switch rule := rule.GetUserset().(type) {
	case *openfgav1.Userset_This:
		for _, t := range r.tuples {
			if t.Object != object || t.Relation != name {
				continue
			}
			if of, member := cut(t.Subject); member != "" {
				add(of, member)
			} else {
				found[t.Subject] = true
			}
		}
	case *openfgav1.Userset_ComputedUserset:
		add(object, rule.ComputedUserset.GetRelation())
	case *openfgav1.Userset_TupleToUserset:
		for _, t := range r.tuples {
			if t.Object == object && t.Relation == rule.TupleToUserset.GetTupleset().GetRelation() {
				add(t.Subject, rule.TupleToUserset.GetComputedUserset().GetRelation())
			}
		}
	case *openfgav1.Userset_Union:
		for _, child := range rule.Union.GetChild() {
			for subject := range r.subjects(object, name, child) {
				found[subject] = true
			}
		}
	default:
		panic("the reference does not know this rule: the model got a new one")
	}
	return found
}

func cut(subject string) (object, member string) {
	for i := range len(subject) {
		if subject[i] == '#' {
			return subject[:i], subject[i+1:]
		}
	}
	return subject, ""
}
