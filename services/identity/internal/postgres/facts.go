package postgres

import (
	"context"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/relation"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// source is the mesh name under which Identity speaks in the trail.
const source = "identity"

// The platform as the authorization model knows it.
const platformObject = "platform:gatehouse"

func userObject(id string) string         { return "user:" + id }
func organizationObject(id string) string { return "organization:" + id }

// founded are the relationships of a new organization.
func founded(organizationID string) []relation.Tuple {
	return []relation.Tuple{{Object: organizationObject(organizationID), Relation: "platform", Subject: platformObject}}
}

// joined are the relationships of a new user, who owns the organization that was made for it.
func joined(u user.User, personal bool) []relation.Tuple {
	object, subject := organizationObject(u.OrganizationID), userObject(u.ID)
	tuples := []relation.Tuple{
		{Object: subject, Relation: "organization", Subject: object},
		{Object: object, Relation: "member", Subject: subject},
	}
	if personal {
		tuples = append(tuples, relation.Tuple{Object: object, Relation: "owner", Subject: subject})
		tuples = append(tuples, founded(u.OrganizationID)...)
	}
	return tuples
}

// consequence is the context of what happens to an organization because of something else: whoever did that did this too. Nobody asks
// for the work of the reconciler, so there the program itself is the actor.
func consequence(ctx context.Context, action, organizationID string) context.Context {
	e, ok := event.FromContext(ctx)
	if !ok {
		e, _ = event.FromContext(event.Background(ctx, source, "", action, "organization"))
	}
	e.Action, e.ObjectType, e.ObjectID, e.OrganizationID, e.Changes = action, "organization", organizationID, organizationID, nil
	return event.NewContext(ctx, e)
}
