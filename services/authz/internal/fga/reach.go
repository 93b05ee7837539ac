package fga

import (
	"maps"
	"slices"
	"strings"

	"github.com/gatehouse/gatehouse/internal/relation"
)

// Reach is whose questions a relationship may decide: those of Subject, or of anybody, about its
// object or about any object of the types of From.
type Reach struct {
	Subject string   // "" is anybody
	From    []string // sorted
}

// ReachOf returns the reach of a relationship by the model. known is false when the model does not
// have its type, as one that a newer program wrote: it may decide anything.
func (e *Engine) ReachOf(t relation.Tuple) (r Reach, known bool) { return e.rules.reach(t) }

func (r *rules) reach(t relation.Tuple) (Reach, bool) {
	kind := relation.Type(t.Object)
	if _, known := r.subjects[kind][t.Relation]; !known {
		return Reach{}, false
	}
	reach := Reach{From: r.from[kind]}
	if !relation.IsSet(t.Subject) && !strings.HasSuffix(t.Subject, ":*") && !slices.Contains(r.pointers, t.Relation) {
		reach.Subject = t.Subject
	}
	return reach, true
}

// leads says from which types relations lead to each type, over any number of objects: by a set of
// subjects, or by a relation that points to another object.
func (r *rules) leads() map[string][]string {
	next := map[string]map[string]bool{} // from a type to those that it names
	for kind, relations := range r.subjects {
		next[kind] = map[string]bool{}
		for name, forms := range relations {
			for _, form := range forms {
				to, _, set := strings.Cut(form, "#")
				if set || slices.Contains(r.pointers, name) {
					next[kind][to] = true
				}
			}
		}
	}
	from := map[string][]string{}
	for kind := range next {
		for to := range closure(kind, next) {
			from[to] = append(from[to], kind)
		}
	}
	for _, kinds := range from {
		slices.Sort(kinds)
	}
	return from
}

// closure is every type to which one or more steps lead.
func closure(kind string, next map[string]map[string]bool) map[string]bool {
	reached := map[string]bool{}
	for todo := slices.Collect(maps.Keys(next[kind])); len(todo) > 0; todo = todo[1:] {
		if to := todo[0]; !reached[to] {
			reached[to] = true
			todo = slices.AppendSeq(todo, maps.Keys(next[to]))
		}
	}
	return reached
}
