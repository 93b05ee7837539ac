package organization

import (
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/relation"
	"github.com/gatehouse/gatehouse/services/identity/internal/fact"
)

// Created is what a creation tells others.
func Created(e event.Event, id string) fact.Fact {
	return fact.Fact{Event: in(e, id), Relationships: relation.Change{Writes: []relation.Tuple{Founded(id)}}}
}

// Founded is the relationship of every organization.
func Founded(id string) relation.Tuple {
	return relation.Tuple{Object: relation.Organization(id), Relation: "platform", Subject: relation.Platform}
}

// Updated is what a change tells others.
func Updated(e event.Event, id string) event.Event { return in(e, id) }

// Deleted is what a removal tells others.
func Deleted(e event.Event, id string) fact.Fact {
	return fact.Fact{Event: in(e, id), Relationships: relation.Change{DeleteAllOf: relation.Organization(id)}}
}

// Consequence is the event of what happens to an organization because of something else: whoever
// did that did this too.
func Consequence(e event.Event, action, id string) event.Event {
	if e.Action == "" { // without an event of its own the change is refused, and so is this
		return e
	}
	e.Action, e.ObjectType, e.Changes = action, "organization", nil
	return in(e, id)
}

func in(e event.Event, id string) event.Event {
	e.ObjectID, e.OrganizationID = id, id
	return e
}
