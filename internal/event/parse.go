package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// version is the form that canonical bytes have. A new form gets a new number and leaves the old one
// readable.
const version = 1

// timeLayout has microseconds, which is what PostgreSQL keeps.
const timeLayout = "2006-01-02T15:04:05.000000Z"

// document is the form "v": 1. Absent and empty mean the same, so empty is never written. The session
// of the actor is in there only as programs of before have sealed it.
type document struct {
	V              int              `json:"v"`
	ID             string           `json:"id"`
	Time           string           `json:"time"`
	Source         string           `json:"source"`
	Caller         string           `json:"caller,omitempty"`
	Action         string           `json:"action"`
	Method         string           `json:"method,omitempty"`
	Outcome        Outcome          `json:"outcome"`
	Reason         string           `json:"reason,omitempty"`
	Actor          actorDocument    `json:"actor"`
	OrganizationID string           `json:"organization_id,omitempty"`
	ObjectType     string           `json:"object_type,omitempty"`
	ObjectID       string           `json:"object_id,omitempty"`
	RequestID      string           `json:"request_id,omitempty"`
	TraceID        string           `json:"trace_id,omitempty"`
	Changes        []changeDocument `json:"changes,omitempty"`
	Count          int64            `json:"count"`
}

type actorDocument struct {
	Type      string `json:"type"`
	ID        string `json:"id,omitempty"`
	SessionID string `json:"session_id,omitempty"`
	ClientID  string `json:"client_id,omitempty"`
}

type changeDocument struct {
	Field    string          `json:"field"`
	Value    json.RawMessage `json:"value,omitempty"`
	Personal bool            `json:"personal,omitempty"`
	Hash     string          `json:"hash,omitempty"`
}

// Parse reads canonical bytes, and nothing but them: another version, an unknown member or another
// spelling of the same event is an error. Personal changes have a hash and no value.
func Parse(canonical []byte) (Event, error) {
	if len(canonical) > MaxCanonical {
		return Event{}, fmt.Errorf("read event: %d bytes are more than %d", len(canonical), MaxCanonical)
	}
	e, usual := parseUsual(canonical)
	if !usual {
		return parseAny(canonical)
	}
	if err := e.check(); err != nil {
		return Event{}, fmt.Errorf("read event: %w", err)
	}
	return e, nil
}

// parseAny is Parse by way of any JSON.
func parseAny(canonical []byte) (Event, error) {
	var d document
	dec := json.NewDecoder(bytes.NewReader(canonical))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return Event{}, fmt.Errorf("read event: %w", err)
	}
	if d.V != version {
		return Event{}, fmt.Errorf("read event: the form %d is not known here, only %d is", d.V, version)
	}
	at, err := time.Parse(timeLayout, d.Time)
	if err != nil {
		return Event{}, errors.New("read event: the time is not in UTC with microseconds")
	}
	e := Event{
		ID: d.ID, Time: at, Source: d.Source, Caller: d.Caller, Action: d.Action, Method: d.Method,
		Outcome: d.Outcome, Reason: d.Reason, Actor: Actor(d.Actor), OrganizationID: d.OrganizationID,
		ObjectType: d.ObjectType, ObjectID: d.ObjectID, RequestID: d.RequestID, TraceID: d.TraceID, Count: d.Count,
	}
	for _, c := range d.Changes {
		e.Changes = append(e.Changes, Change(c))
	}
	if err := e.check(); err != nil {
		return Event{}, fmt.Errorf("read event: %w", err)
	}
	again, err := e.canonical()
	if err != nil || !utf8.Valid(canonical) || !bytes.Equal(again, canonical) {
		return Event{}, errors.New("read event: the bytes are not the canonical ones (RFC 8785)")
	}
	return e, nil
}
