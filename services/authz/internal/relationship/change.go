package relationship

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/relation"
)

// normalise refuses what can never be applied, gives ids their one form, removes repetitions and
// sorts, so that equal changes look equal.
func normalise(e Engine, c Change) (Change, error) {
	if len(c.Writes) == 0 && len(c.Deletes) == 0 && c.DeleteAllOf == "" {
		return c, invalid("writes", "the change is empty", "name a relationship to write or to delete")
	}
	c = canonical(c)
	c.Writes, c.Deletes = distinct(c.Writes), distinct(c.Deletes)
	if n := len(c.Writes) + len(c.Deletes); n > MaxTuples {
		return c, invalid("writes", "the change is too large", fmt.Sprintf("at most %d relationships, written and deleted together: send several changes", MaxTuples))
	}
	for _, t := range c.Writes {
		if _, both := slices.BinarySearchFunc(c.Deletes, t, compare); both {
			return c, invalid("deletes", "a relationship is both written and deleted", "name "+t.String()+" once")
		}
		if err := e.Validate(t); err != nil {
			return c, err
		}
	}
	for _, t := range c.Deletes { // the form alone: what an older model admitted can still be deleted
		if err := t.Validate(); err != nil {
			return c, err
		}
	}
	if c.DeleteAllOf != "" && !relation.IsObject(c.DeleteAllOf) {
		return c, invalid("delete_all_of", "the object or subject whose relationships are deleted has no form", "write type:id")
	}
	for _, p := range c.Preconditions {
		if err := p.Tuple.Validate(); err != nil {
			return c, err
		}
	}
	return c, nil
}

// canonical returns the change with its ids in the one form.
func canonical(c Change) Change {
	each := func(tuples []relation.Tuple) []relation.Tuple {
		all := make([]relation.Tuple, len(tuples))
		for i, t := range tuples {
			all[i] = t.Canonical()
		}
		return all
	}
	c.Writes, c.Deletes, c.DeleteAllOf = each(c.Writes), each(c.Deletes), relation.Canonical(c.DeleteAllOf)
	c.Preconditions = slices.Clone(c.Preconditions)
	for i := range c.Preconditions {
		c.Preconditions[i].Tuple = c.Preconditions[i].Tuple.Canonical()
	}
	return c
}

func invalid(path, message, fix string) error {
	return apierr.InvalidArgumentError().Saying(message).WithField(path, "change", fix)
}

// fingerprint tells changes apart that come under one id.
func fingerprint(program string, c Change) ([]byte, error) {
	c.ID = ""
	text, err := json.Marshal(struct {
		Program string
		Change  Change
	}{program, c})
	if err != nil {
		return nil, fmt.Errorf("fingerprint the change: %w", err)
	}
	sum := sha256.Sum256(text)
	return sum[:], nil
}

// objects returns what is locked for a change that deletes these tuples too, sorted: two changes of one object never interleave.
func objects(c Change, more []relation.Tuple) []string {
	var all []string
	for _, t := range slices.Concat(c.Writes, c.Deletes, more) {
		all = append(all, t.Object)
	}
	for _, p := range c.Preconditions {
		all = append(all, p.Tuple.Object)
	}
	if c.DeleteAllOf != "" {
		all = append(all, c.DeleteAllOf)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// contains reports whether a sorted list has all of some.
func contains(sorted, some []string) bool {
	return !slices.ContainsFunc(some, func(s string) bool {
		_, found := slices.BinarySearch(sorted, s)
		return !found
	})
}

func distinct(tuples []relation.Tuple) []relation.Tuple {
	sorted := slices.SortedFunc(slices.Values(tuples), compare)
	return slices.Compact(sorted)
}

// without returns the tuples of a that are not in b.
func without(a, b []relation.Tuple) []relation.Tuple {
	return slices.DeleteFunc(slices.Clone(a), func(t relation.Tuple) bool { return slices.Contains(b, t) })
}

func compare(a, b relation.Tuple) int {
	if n := strings.Compare(a.Object, b.Object); n != 0 {
		return n
	}
	if n := strings.Compare(a.Relation, b.Relation); n != 0 {
		return n
	}
	return strings.Compare(a.Subject, b.Subject)
}
