// Package format writes events of the trail in the forms that other systems read: OCSF, alone or in
// CloudEvents, and CSV. It asks nobody and stores nothing.
package format

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Names of the formats.
const (
	OCSF        = "ocsf"        // one OCSF event a line
	CloudEvents = "cloudevents" // the same in CloudEvents 1.0, in JSON, one a line
	CSV         = "csv"         // a table with a header
)

// Event is an event as the API tells it.
type Event struct {
	ID             string    `json:"id"`
	Time           time.Time `json:"time"`
	Action         string    `json:"action"`
	Method         string    `json:"method"`
	Outcome        string    `json:"outcome"`
	Reason         string    `json:"reason"`
	Actor          Actor     `json:"actor"`
	Source         string    `json:"source"`
	Caller         string    `json:"caller"`
	OrganizationID string    `json:"organization_id"`
	ObjectType     string    `json:"object_type"`
	ObjectID       string    `json:"object_id"`
	RequestID      string    `json:"request_id"`
	TraceID        string    `json:"trace_id"`
	Changes        []Change  `json:"changes"`
	Count          Count     `json:"count"`
	Occurrences    Count     `json:"occurrences"` // the same, and what stays
	ClientAddress  string    `json:"client_address"`
	ClientAgent    string    `json:"client_agent"`
	Damaged        bool      `json:"damaged"` // what is stored is no event

	raw json.RawMessage
}

// Actor is who did it.
type Actor struct {
	Type      string `json:"type"`
	ID        string `json:"id"`
	SessionID string `json:"session_id"`
	ClientID  string `json:"client_id"`
}

// Change is a field that the request set. Its value is JSON, and comes in two forms: as it is, and
// inside of a text, as it was before.
type Change struct {
	Field    string          `json:"field"`
	Value    json.RawMessage `json:"json_value"`
	Inside   string          `json:"value"`
	Personal bool            `json:"personal"`
}

// value is JSON; nil when it is erased.
func (c Change) value() json.RawMessage {
	switch {
	case len(c.Value) > 0 && string(c.Value) != "null":
		return c.Value
	case c.Inside != "" && json.Valid([]byte(c.Inside)):
		return json.RawMessage(c.Inside)
	default:
		return nil
	}
}

// Count is how often it happened: a number inside of a text, as it was before, or one without.
type Count int64

// UnmarshalJSON takes both forms.
func (c *Count) UnmarshalJSON(text []byte) error {
	n, err := strconv.ParseInt(strings.Trim(string(text), `"`), 10, 64)
	if err != nil {
		return fmt.Errorf("the count of an event: %w", err)
	}
	*c = Count(n)
	return nil
}

// Decode reads an event as the API tells it.
func Decode(raw json.RawMessage) (Event, error) {
	e := Event{raw: raw}
	if err := json.Unmarshal(raw, &e); err != nil {
		return e, fmt.Errorf("read an event: %w", err)
	}
	e.Count = max(e.Count, e.Occurrences, 1)
	return e, nil
}

// text is the value of a field whose value is a text; empty for any other.
func (e Event) text(field string) (value string) {
	for _, c := range e.Changes {
		if c.Field == field {
			_ = json.Unmarshal(c.value(), &value) // what is no text is none
		}
	}
	return value
}

// texts are the value of a field whose value is a list of texts.
func (e Event) texts(field string) (values []string) {
	for _, c := range e.Changes {
		if c.Field == field {
			_ = json.Unmarshal(c.value(), &values)
		}
	}
	return values
}
