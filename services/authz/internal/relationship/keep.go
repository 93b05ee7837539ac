package relationship

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gatehouse/gatehouse/internal/relation"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1/reason"
)

// Bounds of looking for who stays.
const (
	maxSets  = 1000 // groups that one decision goes through
	pageSize = 100  // subjects read at a time
)

// role is a relation of an object that somebody must have once somebody had it: an administrator of
// the platform, an owner of an organization (R89). Groups are on the way to it.
type role struct{ object, relation string }

func roleOf(t relation.Tuple) role { return role{t.Object, t.Relation} }

func (r role) kept() bool {
	return relation.Type(r.object) == "platform" && r.relation == "administrator" ||
		relation.Type(r.object) == "organization" && r.relation == "owner"
}

func (r role) group() bool { return relation.Type(r.object) == "group" && r.relation == "member" }

func (r role) String() string { return r.object + "#" + r.relation }

// guard decides whether a change, or the departure of a user, leaves every role that it touches to
// a user who exists. It decides under the locks of all objects that the answer rests on: those of
// the roles, of the groups that lead to them, and of the user who stays. So two who leave at once
// cannot each count on the other.
type guard struct {
	engine  Engine
	departs Departs
	gone    []relation.Tuple // what the change deletes
	come    []relation.Tuple // what it writes
	leaving string           // the user who departs, "user:id"; "" for none
	ends    string           // the organization that goes with that user, "organization:id"; "" for none
	rests   []string         // objects that the answer rests on
}

// keeps returns the objects that the decision rests on, or FAILED_PRECONDITION (LAST_ADMINISTRATOR,
// LAST_OWNER).
func (g *guard) keeps(ctx context.Context) ([]string, error) {
	roles, err := g.touched(ctx)
	if err != nil {
		return nil, err
	}
	for _, r := range roles {
		if r.object == g.ends {
			continue
		}
		if stays, err := g.held(ctx, r, g.remains); err != nil || stays {
			if err != nil {
				return nil, err
			}
			continue
		}
		before := func(relation.Tuple) bool { return true }
		if held, err := g.held(ctx, r, before); err != nil || held {
			return nil, orLast(r, err)
		}
	}
	slices.Sort(g.rests)
	return slices.Compact(g.rests), nil
}

func orLast(r role, err error) error {
	if err != nil {
		return err
	}
	if relation.Type(r.object) == "platform" {
		return reason.LastAdministrator().About(r.object)
	}
	return reason.LastOwner().Saying("this would leave " + r.object + " without an owner: make another user its owner first").About(r.object)
}

// touched follows what goes upwards, through groups, to the roles that it leads to.
func (g *guard) touched(ctx context.Context) ([]role, error) {
	todo := slices.Clone(g.gone)
	leaving := map[string]bool{}
	if g.leaving != "" {
		leaving[g.leaving] = true
	}
	for _, t := range g.gone {
		if relation.Type(t.Object) == "user" && t.Relation == "organization" { // by which a user exists
			leaving[t.Object] = true
		}
	}
	for u := range leaving {
		held, err := g.engine.HeldBy(ctx, u)
		if err != nil {
			return nil, fmt.Errorf("find the roles of %s: %w", u, err)
		}
		todo = append(todo, held...)
	}
	var roles []role
	seen := map[role]bool{}
	for len(todo) > 0 {
		r := roleOf(todo[0])
		todo = todo[1:]
		if seen[r] || !r.kept() && !r.group() {
			continue
		}
		seen[r] = true
		if r.kept() {
			roles = append(roles, r)
			continue
		}
		if len(seen) > maxSets {
			return nil, tooDeep()
		}
		held, err := g.engine.HeldBy(ctx, r.String())
		if err != nil {
			return nil, fmt.Errorf("find the roles of %s: %w", r, err)
		}
		todo = append(todo, held...)
	}
	return roles, nil
}

// remains reports whether a relationship is still there after the change.
func (g *guard) remains(t relation.Tuple) bool {
	return !slices.Contains(g.gone, t) && t.Subject != g.leaving && t.Object != g.leaving
}

// held reports whether a user who exists has the role, by the relationships that count. What the
// change writes counts where what it deletes does not.
func (g *guard) held(ctx context.Context, r role, counts func(relation.Tuple) bool) (bool, error) {
	todo, seen := []role{r}, map[role]bool{r: true}
	for len(todo) > 0 {
		at := todo[0]
		todo = todo[1:]
		g.rests = append(g.rests, at.object)
		found, err := g.each(ctx, at, func(subject string) (bool, error) {
			if !counts(relation.Tuple{Object: at.object, Relation: at.relation, Subject: subject}) {
				return false, nil
			}
			object, member, set := strings.Cut(subject, "#")
			if next := (role{object, member}); set && !seen[next] {
				seen[next] = true
				todo = append(todo, next)
			}
			if set || relation.Type(subject) != "user" {
				return false, nil
			}
			return g.exists(ctx, subject, counts)
		})
		if err != nil || found {
			return found, err
		}
		if len(seen) > maxSets {
			return false, tooDeep()
		}
	}
	return false, nil
}

// each calls fn with the subjects of a role, those that the change writes first, until fn says that
// it is enough.
func (g *guard) each(ctx context.Context, r role, fn func(subject string) (enough bool, err error)) (bool, error) {
	for _, t := range g.come {
		if roleOf(t) == r {
			if enough, err := fn(t.Subject); err != nil || enough {
				return enough, err
			}
		}
	}
	for after := ""; ; {
		page, err := g.engine.SubjectsOf(ctx, r.object, r.relation, after, pageSize)
		if err != nil {
			return false, fmt.Errorf("find who is %s: %w", r, err)
		}
		for _, subject := range page {
			if enough, err := fn(subject); err != nil || enough {
				return enough, err
			}
		}
		if len(page) < pageSize {
			return false, nil
		}
		after = page[len(page)-1]
	}
}

// exists reports whether a user is one that Identity has made and is not deleting.
func (g *guard) exists(ctx context.Context, user string, counts func(relation.Tuple) bool) (bool, error) {
	found, err := g.each(ctx, role{user, "organization"}, func(organization string) (bool, error) {
		return counts(relation.Tuple{Object: user, Relation: "organization", Subject: organization}), nil
	})
	if err != nil || !found {
		return false, err
	}
	departs, err := g.departs(ctx, user)
	if err != nil || departs {
		return false, err
	}
	g.rests = append(g.rests, user)
	return true, nil
}

func tooDeep() error {
	return reason.RelationshipsTooDeep().Saying(fmt.Sprintf("more than %d groups lead to the role that this change touches: nobody can tell who would be left", maxSets))
}
