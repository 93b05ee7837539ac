package event

import "encoding/json"

// Where a request came from is kept like the personal fields of the request: in the form of version
// 1 that is a change, whose value can be erased. Their names are none that a field of a message can
// have, and no others are added: an Audit of before would tell a name that it does not know to
// everybody who may read the event.
const (
	addressField = "@client.address"
	agentField   = "@client.agent"
)

// agentOf is the value of agentField in the session of a user. Without a session the value is the
// text alone, which is all that an Audit of before reads: to it an object is like an erased value.
type agentOf struct {
	Agent   string `json:"agent,omitempty"`
	Session string `json:"session,omitempty"`
}

// client is the changes that say where the request came from and in which session it was made, as
// many as there is room for beside those of the request.
func (e Event) client() []Change {
	var changes []Change
	add := func(field string, value any) {
		if len(e.Changes)+len(changes) >= MaxChanges {
			return
		}
		text, _ := json.Marshal(value) // texts always are JSON
		changes = append(changes, Change{Field: field, Value: text, Personal: true})
	}
	if e.ClientAddress != "" {
		add(addressField, e.ClientAddress)
	}
	switch {
	case e.Actor.SessionID != "":
		add(agentField, agentOf{Agent: e.ClientAgent, Session: e.Actor.SessionID})
	case e.ClientAgent != "":
		add(agentField, e.ClientAgent)
	}
	return changes
}

// withClient returns the event as it was before it was sealed: where the request came from is not
// among its changes. What is erased is empty.
func (e Event) withClient() Event {
	kept := e.Changes[:0]
	for _, c := range e.Changes {
		switch {
		case c.Personal && c.Field == addressField:
			e.ClientAddress = textOf(c.Value)
		case c.Personal && c.Field == agentField:
			agent := readAgent(c.Value)
			e.ClientAgent = agent.Agent
			if e.Actor.SessionID == "" {
				e.Actor.SessionID = agent.Session
			}
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

// readAgent reads either form of the value of agentField.
func readAgent(value json.RawMessage) (agent agentOf) {
	if len(value) > 0 && value[0] == '{' {
		_ = json.Unmarshal(value, &agent)
		return agent
	}
	return agentOf{Agent: textOf(value)}
}

// OfClient reports whether a personal value, by its field, says where the request came from and in
// which session it was made.
func OfClient(field string) bool { return field == addressField || field == agentField }
