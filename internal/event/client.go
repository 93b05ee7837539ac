package event

import (
	"encoding/json"
	"slices"
)

// Where a request came from is kept like the personal fields of the request: in the form of version 1 that is a change, whose value can be
// erased. Their names are none that a field of a message can have.
const (
	addressField = "@client.address"
	agentField   = "@client.agent"
)

// client is the changes that say where the request came from, as many as there is room for beside those of the request.
func (e Event) client() []Change {
	var changes []Change
	for _, f := range []struct{ name, text string }{{addressField, e.ClientAddress}, {agentField, e.ClientAgent}} {
		if f.text == "" || len(e.Changes)+len(changes) >= MaxChanges {
			continue
		}
		value, _ := json.Marshal(f.text) // a text always is JSON
		changes = append(changes, Change{Field: f.name, Value: value, Personal: true})
	}
	return changes
}

// withClient returns the event as it was before it was sealed: where the request came from is not among its changes.
func (e Event) withClient() Event {
	e.Changes = slices.DeleteFunc(e.Changes, func(c Change) bool {
		var into *string
		switch {
		case c.Personal && c.Field == addressField:
			into = &e.ClientAddress
		case c.Personal && c.Field == agentField:
			into = &e.ClientAgent
		default:
			return false
		}
		_ = json.Unmarshal(c.Value, into) // what is erased, or not a text, stays empty
		return true
	})
	if len(e.Changes) == 0 {
		e.Changes = nil
	}
	return e
}
