package user

import (
	"time"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/relation"
	"github.com/gatehouse/gatehouse/services/identity/internal/fact"
	"github.com/gatehouse/gatehouse/services/identity/internal/organization"
)

// Creation is a user to store, with the organization that is made for it, if one is, and what
// others learn of both.
type Creation struct {
	User          User
	Refused       time.Time // the ids of users whose deletion was finished since are refused
	Personal      *organization.Organization
	InvitationDue time.Time   // of an Invited user
	Most          int         // users of a personal organization with this one; 0 for any number
	Founded       event.Event // of the personal organization, before the user
	Joined        fact.Fact   // with the relationships of both
}

// NewCreation is the creation of a user as a request asks for it. The user owns a personal
// organization.
func NewCreation(e event.Event, u User, personal *organization.Organization) Creation {
	c := Creation{User: u, Personal: personal, Refused: u.CreateTime.Add(-refuseFor)}
	object, subject := relation.Organization(u.OrganizationID), relation.User(u.ID)
	joined := []relation.Tuple{
		{Object: subject, Relation: "organization", Subject: object},
		{Object: object, Relation: "member", Subject: subject},
	}
	if personal != nil {
		c.Founded = organization.Consequence(e, "organization.created", personal.ID)
		joined = append(joined, relation.Tuple{Object: object, Relation: "owner", Subject: subject}, organization.Founded(u.OrganizationID))
	}
	c.Joined = fact.Fact{Event: of(e, u), Relationships: relation.Change{Writes: joined}}
	return c
}

// Updated is what a change of a user tells others.
func Updated(e event.Event, u User) event.Event { return of(e, u) }

// Deleted is what the deletion of a user tells others: from here on it has no rights.
func Deleted(e event.Event, u User) fact.Fact {
	return fact.Fact{Event: of(e, u), Relationships: relation.Change{DeleteAllOf: relation.User(u.ID)}}
}

// Ended is what the end of a personal organization tells others, which went with its last user.
func Ended(e event.Event, organizationID string) fact.Fact {
	return organization.Deleted(organization.Consequence(e, "organization.deleted", organizationID), organizationID)
}

func of(e event.Event, u User) event.Event {
	e.ObjectID, e.OrganizationID = u.ID, u.OrganizationID
	return e
}
