package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
)

// EventStream are events in the order in which they were stored.
type EventStream struct {
	Query      url.Values
	Cursor     string // after which it begins; "" begins as the query says, or now
	StoredOnly bool   // it ends when what is stored as it begins is told

	// Each is told an event, and the cursor after it; a nil event is a sign that there is none up
	// to the cursor. Its error ends the stream.
	Each func(raw json.RawMessage, cursor string) error
	Told func(error) // why a stream broke that is taken up again
}

// StreamEvents tells events until ctx ends, the gateway refuses, Each fails or, with StoredOnly,
// all is told. What breaks is taken up again after the last cursor that Each was told.
func (c *Client) StreamEvents(ctx context.Context, s EventStream) error {
	query := url.Values{}
	maps.Copy(query, s.Query)
	if s.StoredOnly {
		query.Set("stored_only", "true")
	}
	ctx, done := context.WithCancel(ctx)
	defer done()
	var failed error
	err := c.follow(ctx, "/api/v1/audit/events:tail", query, s.Cursor, func(line json.RawMessage) error {
		var message struct {
			Event  json.RawMessage `json:"event"`
			Cursor string          `json:"cursor"`
			End    bool            `json:"end"`
		}
		if err := json.Unmarshal(line, &message); err != nil {
			return fmt.Errorf("read the stream of events: %w", err)
		}
		if bytes.Equal(message.Event, []byte("null")) {
			message.Event = nil
		}
		if failed = s.Each(message.Event, message.Cursor); failed != nil || message.End {
			done()
		}
		return failed
	}, s.Told)
	if failed != nil {
		return failed
	}
	return err
}
