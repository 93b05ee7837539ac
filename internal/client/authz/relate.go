package authz

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/internal/relation"
	"github.com/gatehouse/gatehouse/internal/request"
)

// Topic is that of relationships in an outbox. Its payloads are Changes as JSON.
const Topic = "relationships"

// Change is the payload of the topic: what changes, and because of what.
type Change struct {
	Change relation.Change `json:"change"`
	Origin Origin          `json:"origin"`
}

// Origin is the request behind a change that is delivered later.
type Origin struct {
	ActorType string `json:"actor_type"`
	ActorID   string `json:"actor_id,omitempty"`
	RequestID string `json:"request_id,omitempty"`
	TraceID   string `json:"trace_id,omitempty"`
}

var errNoEvent = errors.New("append to outbox: relationships follow from an event: the method's contract must audit it, or the work begin with event.Own")

// Relate appends a change of relationships in the transaction of the fact that it follows from, and
// returns the consistency token that names it. The arguments are those of Message.
func Relate(ctx context.Context, o *outbox.Outbox, tx pgx.Tx, e event.Event, key string, c relation.Change) (token string, err error) {
	m, err := Message(o.NewID(), e, key, c)
	if err != nil {
		return "", err
	}
	return request.TokenOf(m.ID).String(), o.Append(ctx, tx, m)
}

// Message returns the message that carries a change of relationships, with the event of the fact
// that it follows from as its origin. request.TokenOf(id) is the consistency token that names it.
// key is the object that the fact is about.
func Message(id string, e event.Event, key string, c relation.Change) (outbox.Message, error) {
	if e.Action == "" {
		return outbox.Message{}, errNoEvent
	}
	if err := c.Validate(); err != nil {
		return outbox.Message{}, fmt.Errorf("append to outbox: %w", err)
	}
	payload, err := json.Marshal(Change{Change: c, Origin: originOf(e.Clean())})
	if err != nil {
		return outbox.Message{}, fmt.Errorf("append to outbox: %w", err)
	}
	return outbox.Message{ID: id, Topic: Topic, Key: key, Payload: payload}, nil
}

func originOf(e event.Event) Origin {
	return Origin{ActorType: e.Actor.Type, ActorID: e.Actor.ID, RequestID: e.RequestID, TraceID: e.TraceID}
}

// ParseChange reads a payload of the topic, strictly.
func ParseChange(payload []byte) (Change, error) {
	var c Change
	dec := json.NewDecoder(bytes.NewReader(payload))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		return Change{}, fmt.Errorf("read relationship change: %w", err)
	}
	if dec.More() {
		return Change{}, errors.New("read relationship change: something follows it")
	}
	return c, c.Change.Validate()
}
