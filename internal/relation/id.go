package relation

import (
	"strings"

	"github.com/google/uuid"
)

// CanonicalID returns the one form of an id, in which it is stored, compared and asked about: a
// UUID in lower case, as RFC 9562 reads and writes them; every other id as it is. Other spellings
// of a UUID (braces, "urn:uuid:", no hyphens) are ids of their own.
func CanonicalID(id string) string {
	if len(id) == 36 && uuid.Validate(id) == nil {
		return strings.ToLower(id)
	}
	return id
}

// Canonical returns an object or a subject, "type:id" or "type:id#relation", with its id in the one
// form.
func Canonical(name string) string {
	kind, rest, ok := strings.Cut(name, ":")
	if !ok {
		return name
	}
	id, member, set := strings.Cut(rest, "#")
	if set {
		return kind + ":" + CanonicalID(id) + "#" + member
	}
	return kind + ":" + CanonicalID(id)
}

// Canonical returns the relationship with its ids in the one form.
func (t Tuple) Canonical() Tuple {
	return Tuple{Object: Canonical(t.Object), Relation: t.Relation, Subject: Canonical(t.Subject)}
}
