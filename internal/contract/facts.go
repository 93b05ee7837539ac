package contract

import (
	"slices"
	"strings"

	optionsv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/options/v1"
)

// EveryRelation is the word for all relations of an object type.
const EveryRelation = "every_relation"

// Database is what a program has in PostgreSQL beyond one role that owns one schema.
type Database struct {
	Schemas []string // further schemas
	Owner   string   // role that owns and migrates them all; empty when the program's own role does
	Pools   []Pool   // further pools of connections
}

// Pool is a pool of connections.
type Pool struct {
	Variable string // sets the size
	Size     int    // most connections without it
}

// Kinds of secrets.
const (
	KeySecret      = "key"
	PasswordSecret = "password"
)

// Secret is a file that whoever runs the program makes.
type Secret struct {
	File     string
	Variable string // without _FILE
	Kind     string // KeySecret or PasswordSecret
	Use      string // for the operator; may be empty
	Previous bool   // a second value may stand beside it, as PreviousVariable from PreviousFile
}

// PreviousVariable is the variable of the value that a secret had before.
func PreviousVariable(variable string) string { return variable + "_PREVIOUS" }

// PreviousFile is the file with the value that a secret had before.
func PreviousFile(file string) string {
	name, suffix, _ := strings.Cut(file, ".")
	return name + "-previous." + suffix
}

// Grant is the right of a program to write relationships of an object type.
type Grant struct {
	Program    string
	ObjectType string
	Relations  []string // "member", "administrator@user" or EveryRelation, as declared
	DeleteAll  bool
}

// ObjectType is a type of the authorization model with its owner's consents.
type ObjectType struct {
	Name  string
	Allow []Grant
}

// Writers are the grants that both sides state for a type that the owner answers for: what a
// program declares, as far as the type's owner consents. The owner consents to itself.
func (c *Contract) Writers(owner Program, kind ObjectType) []Grant {
	grants := []Grant{}
	for _, p := range c.Programs {
		for _, want := range p.Relationships {
			if want.ObjectType != kind.Name {
				continue
			}
			if p.Name != owner.Name {
				want = want.within(kind.consentTo(p.Name))
			}
			if len(want.Relations) > 0 || want.DeleteAll {
				grants = append(grants, want)
			}
		}
	}
	slices.SortFunc(grants, func(a, b Grant) int { return strings.Compare(a.Program, b.Program) })
	return grants
}

// consentTo returns what the owner lets a program write; nothing when it names it nowhere.
func (t ObjectType) consentTo(program string) Grant {
	for _, consent := range t.Allow {
		if consent.Program == program {
			return consent
		}
	}
	return Grant{}
}

func (g Grant) within(consent Grant) Grant {
	g.Relations = slices.DeleteFunc(slices.Clone(g.Relations), func(relation string) bool { return !slices.Contains(consent.Relations, relation) })
	g.DeleteAll = g.DeleteAll && consent.DeleteAll
	return g
}

func loadDatabase(options *optionsv1.Database) Database {
	d := Database{Schemas: slices.Sorted(slices.Values(options.GetSchemas())), Owner: options.GetOwner()}
	for _, pool := range options.GetPools() {
		d.Pools = append(d.Pools, Pool{Variable: pool.GetVariable(), Size: int(pool.GetSize())})
	}
	return d
}

func loadSecrets(options []*optionsv1.Secret) []Secret {
	var secrets []Secret
	for _, s := range options {
		kind := strings.ToLower(strings.TrimPrefix(s.GetKind().String(), "KIND_"))
		secrets = append(secrets, Secret{File: s.GetFile(), Variable: s.GetVariable(), Kind: kind, Use: s.GetUse(), Previous: s.GetPrevious()})
	}
	return secrets
}

func loadObjectTypes(options []*optionsv1.ObjectType) []ObjectType {
	var types []ObjectType
	for _, o := range options {
		t := ObjectType{Name: o.GetName()}
		for _, consent := range o.GetAllow() {
			t.Allow = append(t.Allow, Grant{
				Program: consent.GetProgram(), ObjectType: t.Name, Relations: consent.GetRelations(), DeleteAll: consent.GetDeleteAll(),
			})
		}
		types = append(types, t)
	}
	return types
}

func loadRelationships(program string, options []*optionsv1.Relationships) []Grant {
	var grants []Grant
	for _, r := range options {
		grants = append(grants, Grant{
			Program: program, ObjectType: r.GetObjectType(), Relations: r.GetRelations(), DeleteAll: r.GetDeleteAll(),
		})
	}
	return grants
}
