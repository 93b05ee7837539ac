package refusals

import (
	"maps"

	"github.com/gatehouse/gatehouse/internal/event"
)

// common is what refusals of one kind have in common, by the name of the member. What differs is left out: an event with a count must
// not say of all what is true of one.
type common map[string]string

func commonOf(e event.Event) common {
	return common{
		"caller": e.Caller, "outcome": string(e.Outcome), "actor_type": e.Actor.Type, "actor_id": e.Actor.ID,
		"session_id": e.Actor.SessionID, "client_id": e.Actor.ClientID, "organization_id": e.OrganizationID,
		"object_type": e.ObjectType, "object_id": e.ObjectID,
	}
}

// and keeps what both have.
func (c common) and(other common) common {
	both := maps.Clone(c)
	maps.DeleteFunc(both, func(name, value string) bool { return other[name] != value })
	return both
}

// event fills in what is common; the actor is anonymous when there were several.
func (c common) event() event.Event {
	e := event.Event{
		Caller: c["caller"], Outcome: event.Outcome(c["outcome"]), OrganizationID: c["organization_id"],
		ObjectType: c["object_type"], ObjectID: c["object_id"],
		Actor: event.Actor{Type: c["actor_type"], ID: c["actor_id"], SessionID: c["session_id"], ClientID: c["client_id"]},
	}
	if e.Outcome == "" {
		e.Outcome = event.Failure
	}
	if e.Actor.Type == "" || e.Actor.ID == "" {
		e.Actor = event.Actor{Type: event.Anonymous}
	}
	return e
}
