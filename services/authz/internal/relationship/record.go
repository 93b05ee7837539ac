package relationship

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/relation"
)

// command is the change as it will be stored, with its audit event. The event has its id and its bytes from here on, so that whoever
// applies the command, and however often, appends the same one.
func (s *Service) command(e event.Event, program string, c Change, origin *Origin) (Command, error) {
	sum, err := fingerprint(program, c)
	if err != nil {
		return Command{}, err
	}
	if e.Action == "" { // R68
		return Command{}, errors.New("write relationships: the request has no event, and without one nothing is changed")
	}
	if e, err = describe(e, c, origin); err != nil {
		return Command{}, err
	}
	e.ID, e.Time = s.newID(), s.now()
	sealed, err := e.Seal(s.random)
	if err != nil {
		return Command{}, fmt.Errorf("seal the event of a change: %w", err)
	}
	return Command{
		ID: c.ID, Fingerprint: sum, Writes: c.Writes, Deletes: c.Deletes,
		EventID: e.ID, EventKey: e.ObjectType + ":" + e.ObjectID, Event: event.MarshalSealed(sealed),
	}, nil
}

// describe fills in what the contract cannot know: the relationships as short texts, the object when there is one, and the request
// behind a change that was delivered later.
func describe(e event.Event, c Change, origin *Origin) (event.Event, error) {
	e, err := from(e, origin)
	if err != nil {
		return e, err
	}
	touched := objects(Change{Writes: c.Writes, Deletes: c.Deletes, DeleteAllOf: c.DeleteAllOf}, nil)
	if len(touched) == 1 {
		e.ObjectType, e.ObjectID, _ = strings.Cut(touched[0], ":")
	}
	e.OrganizationID = onlyOrganization(c, touched) // the actor's own has nothing to do with it
	e.Changes = nil
	for _, part := range []struct {
		field  string
		tuples []relation.Tuple
	}{{"writes", c.Writes}, {"deletes", c.Deletes}} {
		if len(part.tuples) == 0 {
			continue
		}
		texts := make([]string, len(part.tuples))
		for i, t := range part.tuples {
			texts[i] = t.String()
		}
		value, err := json.Marshal(texts)
		if err != nil {
			return e, fmt.Errorf("write down a change: %w", err)
		}
		e.Changes = append(e.Changes, event.Change{Field: part.field, Value: value})
	}
	if c.DeleteAllOf != "" {
		value, err := json.Marshal(c.DeleteAllOf)
		if err != nil {
			return e, fmt.Errorf("write down a change: %w", err)
		}
		e.Changes = append(e.Changes, event.Change{Field: "delete_all_of", Value: value})
	}
	return e, nil
}

// from says in an event which request is behind it, when that is another one than the program's
// own.
func from(e event.Event, origin *Origin) (event.Event, error) {
	if origin == nil {
		return e, nil
	}
	if (origin.Actor.ID == "") != (origin.Actor.Type == event.Anonymous) {
		return e, apierr.InvalidArgumentError().Saying("the origin is incomplete").
			WithField("origin.actor_id", "origin", "name the actor, unless it is anonymous")
	}
	e.Actor, e.RequestID, e.TraceID = origin.Actor, origin.RequestID, origin.TraceID
	return e, nil
}

// onlyOrganization returns the id of the one organization that a change of these objects is about, "" when there is none or more.
func onlyOrganization(c Change, objects []string) (id string) {
	for _, t := range slices.Concat(c.Writes, c.Deletes) {
		objects = append(objects, t.Subject) // a user's organization
	}
	for _, o := range objects {
		name, found := relation.OrganizationID(o)
		if !found || name == id {
			continue
		}
		if id != "" || len(name) != 36 || uuid.Validate(name) != nil || name != strings.ToLower(name) {
			return ""
		}
		id = name
	}
	return id
}
