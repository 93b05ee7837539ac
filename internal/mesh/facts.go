package mesh

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/relation"
)

// Database is what a program has in PostgreSQL beyond one role that owns one schema, both named
// like the program.
type Database struct {
	Schemas []string `json:"schemas,omitempty"` // further schemas
	Owner   string   `json:"owner,omitempty"`   // role that owns and migrates the schemas; the program's own when empty
	Pools   []Pool   `json:"pools,omitempty"`   // further pools of connections of an instance
}

// Pool is a pool of connections.
type Pool struct {
	Variable string `json:"variable"` // sets the size
	Size     int    `json:"size"`     // most connections without it
}

// Secret is a file that is made for a program unless the operator has another one.
type Secret struct {
	File     string `json:"file"`
	Variable string `json:"variable"` // of the secret; <variable>_FILE holds the path of the file
	Kind     string `json:"kind"`     // contract.KeySecret or contract.PasswordSecret
	Use      string `json:"use,omitempty"`
	Previous bool   `json:"previous,omitempty"` // the program takes a second value too: contract.PreviousVariable
}

// ObjectType is a type of the authorization model: who answers for it, and who writes its
// relationships.
type ObjectType struct {
	Name    string   `json:"name"`
	Owner   string   `json:"owner"`
	Writers []Writer `json:"writers"` // sorted by program; administrators write everything besides
}

// Writer is a program that may write relationships of a type.
type Writer struct {
	Program   string   `json:"program"`
	Relations []string `json:"relations"` // "member", "administrator@user" or contract.EveryRelation; sorted
	DeleteAll bool     `json:"delete_all,omitempty"`
}

// Writes reports whether a program may write and delete a relationship. Preconditions and checks
// are everybody's.
func (d *Definition) Writes(program string, t relation.Tuple) bool {
	return slices.ContainsFunc(d.writer(program, relation.Type(t.Object)).Relations, func(spelt string) bool {
		name, subject, one := strings.Cut(spelt, "@")
		switch {
		case name != contract.EveryRelation && name != t.Relation:
			return false
		case one:
			return relation.Type(t.Subject) == subject && !relation.IsSet(t.Subject)
		}
		return true
	})
}

// DeletesAll reports whether a program may delete all relationships of an object of a type.
func (d *Definition) DeletesAll(program, objectType string) bool {
	return d.writer(program, objectType).DeleteAll
}

// writer is what a program may write of a type.
func (d *Definition) writer(program, objectType string) Writer {
	for _, t := range d.ObjectTypes {
		for _, w := range t.Writers {
			if t.Name == objectType && w.Program == program {
				return w
			}
		}
	}
	return Writer{}
}

// rights are sentences about what programs have beside calls, sorted: schemas and secrets, object
// types and relationships.
func (d *Definition) rights() []string {
	var all []string
	for _, p := range d.Programs {
		all = append(all, p.rights()...)
	}
	for _, t := range d.ObjectTypes {
		all = append(all, fmt.Sprintf("%s owns the type %s", t.Owner, t.Name))
		for _, w := range t.Writers {
			for _, relation := range w.Relations {
				all = append(all, fmt.Sprintf("%s writes %s#%s", w.Program, t.Name, relation))
			}
			if w.DeleteAll {
				all = append(all, fmt.Sprintf("%s deletes all relationships of objects of the type %s", w.Program, t.Name))
			}
		}
	}
	slices.Sort(all)
	return all
}

// rights of one program to its database and secrets.
func (p Program) rights() []string {
	var all []string
	if _, err := p.Upstream(Postgres); err == nil {
		owner, schemas := p.Name, []string{p.Name}
		if p.Database != nil {
			owner, schemas = cmp.Or(p.Database.Owner, p.Name), append(schemas, p.Database.Schemas...)
		}
		for _, schema := range schemas {
			all = append(all, fmt.Sprintf("the role %s owns the schema %s", owner, schema))
		}
	}
	for _, s := range p.Secrets {
		all = append(all, fmt.Sprintf("%s is given the secret %s", p.Name, s.File))
	}
	return all
}

// facts of a program, as its contract states them.
func databaseOf(p contract.Program) *Database {
	d := &Database{Schemas: p.Database.Schemas, Owner: p.Database.Owner}
	for _, pool := range p.Database.Pools {
		d.Pools = append(d.Pools, Pool(pool))
	}
	if len(d.Schemas) == 0 && d.Owner == "" && len(d.Pools) == 0 {
		return nil
	}
	return d
}

func secretsOf(p contract.Program) []Secret {
	var all []Secret
	for _, s := range p.Secrets {
		all = append(all, Secret(s))
	}
	return all
}

// accessOf is whom a method admits, one phrase for each alternative.
func accessOf(m *contract.Method) []string {
	var all []string
	for _, a := range m.Access {
		all = append(all, admitted(a))
	}
	slices.Sort(all)
	return all
}

func admitted(a contract.Access) string {
	switch a.Kind {
	case contract.Public:
		return "anybody"
	case contract.SignedIn:
		return "whoever is signed in"
	case contract.Self:
		return "the user that " + a.Field + " names"
	case contract.Service:
		return "programs"
	case contract.Permission:
		if a.ObjectID != "" {
			return fmt.Sprintf("whoever has %s on %s:%s", a.Relation, a.ObjectType, a.ObjectID)
		}
		return fmt.Sprintf("whoever has %s on the %s that %s names", a.Relation, a.ObjectType, a.Field)
	}
	return "nobody"
}

// statesAccess is false for definitions that were generated before methods stated it.
func (d *Definition) statesAccess() bool {
	return slices.ContainsFunc(d.Methods, func(m Method) bool { return len(m.Access) > 0 })
}

// admissions are sentences about whom methods admit.
func (d *Definition) admissions() []string {
	var all []string
	for _, m := range d.Methods {
		for _, who := range m.Access {
			all = append(all, m.Path+" admits "+who)
		}
	}
	return all
}

// objectTypes are the types of all programs, sorted by name.
func objectTypes(c *contract.Contract) []ObjectType {
	var all []ObjectType
	for _, p := range c.Programs {
		for _, kind := range p.ObjectTypes {
			t := ObjectType{Name: kind.Name, Owner: p.Name, Writers: []Writer{}}
			for _, g := range c.Writers(p, kind) {
				t.Writers = append(t.Writers, Writer{Program: g.Program, Relations: append([]string{}, slices.Sorted(slices.Values(g.Relations))...), DeleteAll: g.DeleteAll})
			}
			all = append(all, t)
		}
	}
	slices.SortFunc(all, func(a, b ObjectType) int { return strings.Compare(a.Name, b.Name) })
	return all
}
