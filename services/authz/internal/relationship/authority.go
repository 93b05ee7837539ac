package relationship

import (
	"fmt"
	"slices"

	"github.com/gatehouse/gatehouse/internal/relation"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1/reason"
)

// Policy says which relationships programs may change because they follow from their own facts.
// The mesh definition is one: what programs declare and the owners of object types consent to.
type Policy interface {
	Writes(program string, t relation.Tuple) bool      // and deletes
	DeletesAll(program string, objectType string) bool // of an object of the type
}

// Authority refuses changes by programs that are not theirs. Administrators change the others.
type Authority struct{ policy Policy }

// NewAuthority returns the authority that follows a policy.
func NewAuthority(p Policy) Authority { return Authority{policy: p} }

// Check returns PERMISSION_DENIED unless the program may make the whole change. Preconditions only
// read.
func (a Authority) Check(program string, c Change) error {
	for _, t := range slices.Concat(c.Writes, c.Deletes) {
		if !a.policy.Writes(program, t) {
			return denied(program, fmt.Sprintf("relation %q of type %q", t.Relation, relation.Type(t.Object)))
		}
	}
	if c.DeleteAllOf != "" && !a.policy.DeletesAll(program, relation.Type(c.DeleteAllOf)) {
		return denied(program, fmt.Sprintf("all relationships of type %q", relation.Type(c.DeleteAllOf)))
	}
	return nil
}

func denied(program, what string) error {
	return reason.RelationshipNotOwned().Saying(fmt.Sprintf("%s may not change %s: only the owner of the fact behind it, or an administrator, does", program, what))
}
