package contract

import (
	"regexp"
	"slices"
	"strings"

	optionsv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/options/v1"
)

var (
	typeForm     = regexp.MustCompile(`^[a-z][a-z0-9_]{0,49}$`)
	relationForm = regexp.MustCompile(`^[a-z][a-z0-9_]{0,49}(@[a-z][a-z0-9_]{0,49})?$`)
)

// ownedType is an object type with the program that answers for it.
type ownedType struct {
	owner Program
	index int32 // of the type in the owner's option
	ObjectType
}

func (t ownedType) position(part ...int32) Position {
	return inFile(t.owner.file, append([]int32{programObjectTypes, t.index}, part...)...)
}

// relationships checks that every type has one owner and that what programs write is what owners
// consent to, as with calls and allow.
func (k *checker) relationships() {
	types := k.objectTypes()
	for _, p := range k.contract.Programs {
		options, _ := extension[*optionsv1.Program](p.file.Options(), optionsv1.E_Program)
		seen := map[string]bool{}
		for i, r := range options.GetRelationships() {
			where := inFile(p.file, programRelationships, int32(i))
			owned, known := types[r.GetObjectType()]
			switch {
			case !known:
				k.report(where, "%s writes relationships of %q, a type without owner: correct the name, or declare it in object_types of its owner", p.Name, r.GetObjectType())
				continue
			case seen[r.GetObjectType()]:
				k.report(where, "%s names the type %q twice: keep one", p.Name, r.GetObjectType())
			case len(r.GetRelations()) == 0 && !r.GetDeleteAll():
				k.report(where, "%s writes no relationship of %q: add relations, or remove it", p.Name, r.GetObjectType())
			}
			seen[r.GetObjectType()] = true
			k.relations(r.GetRelations(), func(j int32) Position {
				return inFile(p.file, programRelationships, int32(i), relationshipsRelations, j) //nolint:gosec // an index into a file of protobuf
			})
			k.wanted(p, r, int32(i), owned)
		}
	}
	for _, owned := range types {
		for i := range owned.Allow {
			k.consented(owned, int32(i))
		}
	}
}

// objectTypes are the declared types by name.
func (k *checker) objectTypes() map[string]ownedType {
	types := map[string]ownedType{}
	for _, p := range k.contract.Programs {
		for i, t := range p.ObjectTypes {
			owned := ownedType{owner: p, index: int32(i), ObjectType: t}
			switch other, twice := types[t.Name]; {
			case !typeForm.MatchString(t.Name):
				k.report(owned.position(), "%q cannot be an object type: use lower-case letters, digits and underscores, starting with a letter", t.Name)
			case twice:
				k.report(owned.position(), "the type %q belongs to %s at %s: remove it here", t.Name, other.owner.Name, other.position())
				continue // who claims it second is not its owner
			}
			types[t.Name] = owned
		}
	}
	return types
}

// relations checks the spelling of a list of relations.
func (k *checker) relations(names []string, where func(int32) Position) {
	for i, name := range names {
		switch {
		case !relationForm.MatchString(name):
			k.report(where(int32(i)), "%q is not a relation: write member, or administrator@user for subjects that are one user", name)
		case slices.Contains(names[:i], name):
			k.report(where(int32(i)), "the relation %q is named twice: remove one", name)
		case strings.HasPrefix(name, EveryRelation+"@"):
			k.report(where(int32(i)), "every_relation admits subjects of all types: remove the type, or name the relations")
		case name == EveryRelation && len(names) > 1:
			k.report(where(int32(i)), "every_relation stands alone: remove the other relations")
		}
	}
}

// wanted checks one entry of a program against the owner's consent.
func (k *checker) wanted(p Program, r *optionsv1.Relationships, i int32, t ownedType) {
	if p.Name == t.owner.Name {
		return
	}
	consent := t.consentTo(p.Name)
	for j, relation := range r.GetRelations() {
		if !slices.Contains(consent.Relations, relation) {
			k.report(inFile(p.file, programRelationships, i, relationshipsRelations, int32(j)),
				"%s writes %s#%s, but %s does not consent: add %q for %q to allow at %s, or remove it",
				p.Name, t.Name, relation, t.owner.Name, relation, p.Name, t.position(objectTypeAllow))
		}
	}
	if r.GetDeleteAll() && !consent.DeleteAll {
		k.report(inFile(p.file, programRelationships, i, relationshipsDeleteAll),
			"%s deletes all relationships of a %s, but %s does not consent: add delete_all for %q to allow at %s, or remove it",
			p.Name, t.Name, t.owner.Name, p.Name, t.position(objectTypeAllow))
	}
}

// consented checks one consent: who is named must exist, be another program and declare the same.
func (k *checker) consented(t ownedType, i int32) {
	consent := t.Allow[i]
	p, known := k.contract.Program(consent.Program)
	switch {
	case !known:
		k.report(t.position(objectTypeAllow, i, consentProgram), "the type %q allows %q, which is not a program: correct the name", t.Name, consent.Program)
		return
	case p.Name == t.owner.Name:
		k.report(t.position(objectTypeAllow, i, consentProgram), "%s needs no consent for its own type %q: remove it", p.Name, t.Name)
		return
	case slices.ContainsFunc(t.Allow[:i], func(g Grant) bool { return g.Program == consent.Program }):
		k.report(t.position(objectTypeAllow, i, consentProgram), "the type %q allows %q twice: keep one", t.Name, consent.Program)
		return
	}
	k.relations(consent.Relations, func(j int32) Position { return t.position(objectTypeAllow, i, consentRelations, j) })
	want := p.wantOf(t.Name)
	for j, relation := range consent.Relations {
		if !slices.Contains(want.Relations, relation) {
			k.report(t.position(objectTypeAllow, i, consentRelations, int32(j)),
				"%q may write %s#%s and does not: add it to relationships at %s, or remove the consent",
				p.Name, t.Name, relation, inFile(p.file, programRelationships))
		}
	}
	if consent.DeleteAll && !want.DeleteAll {
		k.report(t.position(objectTypeAllow, i, consentDeleteAll),
			"%q may delete all relationships of a %s and does not: say delete_all in relationships at %s, or remove the consent",
			p.Name, t.Name, inFile(p.file, programRelationships))
	}
}

// wantOf is what the program declares to write of a type.
func (p Program) wantOf(objectType string) Grant {
	for _, want := range p.Relationships {
		if want.ObjectType == objectType {
			return want
		}
	}
	return Grant{}
}
