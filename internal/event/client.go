package event

import "encoding/json"

// Where a request came from is kept like the personal fields of the request: in the form of version
// 1 that is a change, whose value can be erased. Their names are none that a field of a message can
// have.
const (
	addressField = "@client.address"
	agentField   = "@client.agent"
)

// client is the changes that say where the request came from, as many as there is room for beside
// those of the request.
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

// withClient returns the event as it was before it was sealed: where the request came from is not
// among its changes. What is erased, or not a text, is empty.
func (e Event) withClient() Event {
	kept := e.Changes[:0]
	for _, c := range e.Changes {
		switch {
		case c.Personal && c.Field == addressField:
			e.ClientAddress = textOf(c.Value)
		case c.Personal && c.Field == agentField:
			e.ClientAgent = textOf(c.Value)
		default:
			kept = append(kept, c)
		}
	}
	if e.Changes = kept; len(kept) == 0 {
		e.Changes = nil
	}
	return e
}

func textOf(value json.RawMessage) string {
	if value == nil {
		return ""
	}
	var text string
	_ = json.Unmarshal(value, &text)
	return text
}
