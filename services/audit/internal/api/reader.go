package api

import (
	"context"
	"encoding/json"
	"math"

	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/request"
	auditv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
)

// reader is who events are told to.
type reader struct {
	userID string
	all    bool // admitted by the right to the whole trail
}

func readerOf(ctx context.Context) reader {
	c, _ := request.CallerFrom(ctx)
	if c.Subject == nil {
		return reader{}
	}
	return reader{userID: c.Subject.UserID, all: c.Subject.ByPlatformRight}
}

// admittedBy returns the field of the request that admitted the reader, in the order in which the
// contract names them.
func (r reader) admittedBy(f trail.Filter) trail.Field {
	switch {
	case r.all:
		return 0
	case f.ActorID == r.userID:
		return trail.ByActor
	case f.ObjectID == r.userID:
		return trail.ByObject
	default:
		return trail.ByOrganization
	}
}

// stored returns the message about an event of the trail.
func (r reader) stored(s trail.Stored) *auditv1.Event {
	m := r.event(s.Event)
	m.Damaged = s.Damaged
	return m
}

// did reports whether the reader is who did it.
func (r reader) did(e event.Event) bool { return r.userID != "" && e.Actor.ID == r.userID }

// event returns the message about an event. The session of somebody else, and where somebody else
// was, is told only to a request that was admitted by the right to the whole trail: an
// administrator's is not the business of those whom the administrator touched (R90, R93), and they
// are auditors of their own personal organization.
func (r reader) event(e event.Event) *auditv1.Event {
	m := &auditv1.Event{
		Id: e.ID, Time: timestamppb.New(e.Time), Action: e.Action, Method: e.Method, Outcome: string(e.Outcome), Reason: e.Reason,
		Actor:  &auditv1.Actor{Type: e.Actor.Type, Id: e.Actor.ID, ClientId: e.Actor.ClientID},
		Source: e.Source, Caller: e.Caller, OrganizationId: e.OrganizationID, ObjectType: e.ObjectType, ObjectId: e.ObjectID,
		RequestId: e.RequestID, TraceId: e.TraceID, Occurrences: int32(min(e.Count, math.MaxInt32)), //nolint:gosec // bound
		Count: e.Count, //nolint:staticcheck // SA1019: clients of the last release read it
	}
	if r.all || r.did(e) {
		m.Actor.SessionId, m.ClientAddress, m.ClientAgent = e.Actor.SessionID, e.ClientAddress, e.ClientAgent
	}
	for _, c := range e.Changes {
		m.Changes = append(m.Changes, change(c))
	}
	return m
}

// change returns the message about a change.
func change(c event.Change) *auditv1.Change {
	m := &auditv1.Change{Field: c.Field, Personal: c.Personal, JsonValue: jsonValue(c.Value)}
	m.Value = string(c.Value) //nolint:staticcheck // SA1019: clients of the last release read it
	return m
}

// jsonValue returns a value as JSON has it, nil for none. A stored number is the shortest text of a
// double (RFC 8785), so it loses nothing in the double of a message.
func jsonValue(text json.RawMessage) *structpb.Value {
	if text == nil {
		return nil
	}
	var value any
	if !deeper(text, maxDepth) && json.Unmarshal(text, &value) == nil {
		if v, err := structpb.NewValue(value); err == nil {
			return v
		}
	}
	return structpb.NewStructValue(&structpb.Struct{Fields: map[string]*structpb.Value{
		"omitted_bytes": structpb.NewNumberValue(float64(len(text))),
	}})
}

// maxDepth is how deep a value nests in a message at most: decoders of messages and of JSON have
// limits of their own, and one event must not keep a client from the others. Requests nest less.
const maxDepth = 64

// deeper reports whether arrays and objects of good JSON nest deeper than the limit.
func deeper(text []byte, limit int) bool {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			if depth++; depth > limit {
				return true
			}
		case c == ']' || c == '}':
			depth--
		}
	}
	return false
}
