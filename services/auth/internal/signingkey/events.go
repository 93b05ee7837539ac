package signingkey

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"

	"github.com/gatehouse/gatehouse/internal/event"
)

// Events are what a change of the stored keys is recorded as: one for each key that came, changed its state or went. No request asks for
// them: Auth itself acts.
func Events(ctx context.Context, stored, planned []Key) []event.Event {
	var events []event.Event
	for _, k := range stored {
		if !slices.ContainsFunc(planned, func(p Key) bool { return p.ID == k.ID }) {
			events = append(events, happened(ctx, "auth.signing_key_removed", k))
		}
	}
	for _, k := range planned {
		i := slices.IndexFunc(stored, func(s Key) bool { return s.ID == k.ID })
		switch {
		case i < 0:
			events = append(events, happened(ctx, "auth.signing_key_created", k))
		case stored[i].State != k.State:
			events = append(events, happened(ctx, "auth.signing_key_changed", k))
		}
	}
	return events
}

func happened(ctx context.Context, action string, k Key) event.Event {
	e := event.Own(ctx, "auth", action, "signing_key")
	e.ObjectID = k.ID
	e.Changes = []event.Change{
		{Field: "algorithm", Value: json.RawMessage(strconv.Quote(k.Algorithm))},
		{Field: "state", Value: json.RawMessage(strconv.Quote(string(k.State)))},
	}
	if k.Purpose == ForID {
		e.Changes = append(e.Changes, event.Change{Field: "purpose", Value: json.RawMessage(strconv.Quote(string(k.Purpose)))})
	}
	return e
}
