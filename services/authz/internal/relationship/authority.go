package relationship

import (
	"fmt"
	"slices"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/relation"
)

// Authority says which relationships a program may change: those that follow from its own facts. Administrators change the others.
type Authority struct{ grants map[string]grant }

// grant is what one program owns: relations by object type, and the types of objects whose relationships it may delete altogether.
type grant struct {
	relations   map[string][]string // of each object type; nil means all of the type
	subjects    map[string][]string // types of subjects of each object type; nil means any
	deleteAllOf []string
}

// NewAuthority returns the platform's division: Identity owns what follows from users and organizations, Auth makes the first
// administrator.
func NewAuthority() Authority {
	return Authority{grants: map[string]grant{
		"identity": {
			relations:   map[string][]string{"organization": {"platform", "owner", "member"}, "user": nil},
			subjects:    map[string][]string{},
			deleteAllOf: []string{"user", "organization"},
		},
		"auth": {
			relations: map[string][]string{"platform": {"administrator"}},
			subjects:  map[string][]string{"platform": {"user"}},
		},
	}}
}

// Check returns PERMISSION_DENIED unless the program owns everything that the change touches. Preconditions only read.
func (a Authority) Check(program string, c Change) error {
	g := a.grants[program]
	for _, t := range slices.Concat(c.Writes, c.Deletes) {
		if !g.owns(t) {
			return denied(program, fmt.Sprintf("relation %q of type %q", t.Relation, relation.Type(t.Object)))
		}
	}
	if c.DeleteAllOf != "" && !slices.Contains(g.deleteAllOf, relation.Type(c.DeleteAllOf)) {
		return denied(program, fmt.Sprintf("all relationships of type %q", relation.Type(c.DeleteAllOf)))
	}
	return nil
}

func (g grant) owns(t relation.Tuple) bool {
	relations, ok := g.relations[relation.Type(t.Object)]
	if !ok || relations != nil && !slices.Contains(relations, t.Relation) {
		return false
	}
	subjects := g.subjects[relation.Type(t.Object)]
	return subjects == nil || slices.Contains(subjects, relation.Type(t.Subject)) && !relation.IsSet(t.Subject)
}

func denied(program, what string) error {
	return apierr.New(apierr.PermissionDenied, "RELATIONSHIP_NOT_OWNED",
		fmt.Sprintf("%s may not change %s: only the owner of the fact behind it, or an administrator, does", program, what))
}
