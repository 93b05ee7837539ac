// Package relation is what a relationship looks like between programs: that a subject has a
// relation to an object.
//
// Authz decides which relationships may exist; this package only knows their form. Everybody may
// import it.
package relation

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

// MaxTuples is the most relationships that one change may add and remove together: Authz takes no
// more at once.
const MaxTuples = 100

// Longest parts, in bytes.
const (
	maxName   = 256
	maxMember = 50
)

// Tuple says that Subject has Relation to Object.
type Tuple struct {
	Object   string `json:"object"`   // "type:id"
	Relation string `json:"relation"` // of the object's type
	Subject  string `json:"subject"`  // "type:id" or "type:id#relation"
}

// Change is a set of relationships to add and to remove, all or none.
type Change struct {
	Writes      []Tuple `json:"writes,omitempty"`
	Deletes     []Tuple `json:"deletes,omitempty"`
	DeleteAllOf string  `json:"delete_all_of,omitempty"` // "type:id": every relationship in which it takes part
}

// String returns "object#relation@subject".
func (t Tuple) String() string { return t.Object + "#" + t.Relation + "@" + t.Subject }

// Parse reads what String writes. Errors are InvalidArgument INVALID_RELATIONSHIP.
func Parse(s string) (Tuple, error) {
	left, subject, ok := strings.Cut(s, "@")
	if !ok {
		return Tuple{}, invalid("%q is not a relationship: write object#relation@subject", clip(s))
	}
	object, rel, ok := strings.Cut(left, "#")
	if !ok {
		return Tuple{}, invalid("%q is not a relationship: write object#relation@subject", clip(s))
	}
	t := Tuple{Object: object, Relation: rel, Subject: subject}
	return t, t.Validate()
}

// Validate checks the form of the three parts. Errors are InvalidArgument INVALID_RELATIONSHIP.
func (t Tuple) Validate() error {
	switch {
	case !IsObject(t.Object):
		return invalid("%q is not an object: write type:id", clip(t.Object))
	case !IsRelation(t.Relation):
		return invalid("%q is not a relation: write lower-case letters, digits and underscores", clip(t.Relation))
	case !IsSubject(t.Subject):
		return invalid("%q is not a subject: write type:id or type:id#relation", clip(t.Subject))
	}
	return nil
}

// Validate checks the form and the size of the change, and that it changes something. Errors are
// InvalidArgument INVALID_RELATIONSHIP.
func (c Change) Validate() error {
	if len(c.Writes)+len(c.Deletes) > MaxTuples {
		return invalid("a change adds and removes at most %d relationships", MaxTuples)
	}
	if c.IsZero() {
		return invalid("the change neither adds nor removes a relationship")
	}
	if c.DeleteAllOf != "" && !IsObject(c.DeleteAllOf) {
		return invalid("%q is not an object: write type:id", clip(c.DeleteAllOf))
	}
	for _, list := range [][]Tuple{c.Writes, c.Deletes} {
		for _, t := range list {
			if err := t.Validate(); err != nil {
				return err
			}
		}
	}
	return nil
}

// IsZero reports whether the change changes nothing.
func (c Change) IsZero() bool {
	return len(c.Writes) == 0 && len(c.Deletes) == 0 && c.DeleteAllOf == ""
}

// The forms that the contract of Authz gives too; what may stand in a name is said by Storable.
var (
	objectForm   = regexp.MustCompile(`^[a-z][a-z0-9_]*:[^:#@*\s]+$`)
	subjectForm  = regexp.MustCompile(`^[a-z][a-z0-9_]*:[^:#@*\s]+(#[a-z][a-z0-9_]*)?$`)
	relationForm = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
)

// IsObject reports whether s has the form "type:id".
func IsObject(s string) bool {
	return len(s) <= maxName && objectForm.MatchString(s) && Storable(s)
}

// IsSubject reports whether s has the form "type:id" or, for a set of subjects, "type:id#relation".
func IsSubject(s string) bool {
	return len(s) <= maxName && subjectForm.MatchString(s) && Storable(s)
}

// Storable reports whether a name is text that PostgreSQL stores, without control characters and
// blanks of any alphabet.
func Storable(name string) bool {
	return utf8.ValidString(name) && !strings.ContainsFunc(name, func(c rune) bool { return unicode.IsControl(c) || unicode.IsSpace(c) })
}

// IsRelation reports whether s has the form of a relation's or a type's name.
func IsRelation(s string) bool { return len(s) <= maxMember && relationForm.MatchString(s) }

// IsSet reports whether the subject s is a set of subjects, "type:id#relation".
func IsSet(s string) bool { return strings.Contains(s, "#") }

// Type returns the type of an object or a subject: what stands before the first colon.
func Type(s string) string {
	name, _, _ := strings.Cut(s, ":")
	return name
}

func invalid(format string, args ...any) error {
	return apierr.InvalidRelationship().Saying(fmt.Sprintf(format, args...))
}

func clip(s string) string {
	const most = 80
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
