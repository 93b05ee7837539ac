package rest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// Event is what of an event people are shown; Raw is all of it.
type Event struct {
	ID         string    `json:"id"`
	Time       time.Time `json:"time"`
	Action     string    `json:"action"`
	Outcome    string    `json:"outcome"`
	Reason     string    `json:"reason"`
	Actor      Actor     `json:"actor"`
	Source     string    `json:"source"`
	ObjectType string    `json:"object_type"`
	ObjectID   string    `json:"object_id"`
	Count      int32     `json:"occurrences"`
	Damaged    bool      `json:"damaged"` // what is stored is no event; this is what the columns beside it say

	// Where the request came from; empty to who may not see it, and where nobody asked.
	ClientAddress string `json:"client_address"`
	ClientAgent   string `json:"client_agent"`

	Raw json.RawMessage `json:"-"`
}

// Actor is who did it.
type Actor struct {
	Type string `json:"type"`
	ID   string `json:"id"`
}

// ListEvents hands over at most limit events that match the query, newest first.
func (c *Client) ListEvents(ctx context.Context, query url.Values, limit int, each func(Event) error) error {
	for limit > 0 {
		query.Set("page_size", fmt.Sprint(min(limit, 1000)))
		answer, err := c.do(ctx, http.MethodGet, "/api/v1/audit/events", query, nil, "application/json")
		if err != nil {
			return err
		}
		var page struct {
			Events []json.RawMessage `json:"events"`
			Next   string            `json:"next_page_token"`
		}
		err = json.NewDecoder(answer.Body).Decode(&page)
		_ = answer.Body.Close()
		if err != nil {
			return fmt.Errorf("read a page of events: %w", err)
		}
		for _, raw := range page.Events[:min(limit, len(page.Events))] {
			event, err := decode(raw)
			if err != nil {
				return err
			}
			if err := each(event); err != nil {
				return err
			}
		}
		limit -= len(page.Events)
		if page.Next == "" {
			return nil
		}
		query.Set("page_token", page.Next)
	}
	return nil
}

// FollowEvents hands over events that match the query as they are stored, after the cursor or from
// now on, as follow does.
func (c *Client) FollowEvents(ctx context.Context, query url.Values, cursor string, each func(Event) error, told func(error)) error {
	return c.StreamEvents(ctx, EventStream{Query: query, Cursor: cursor, Told: told, Each: func(raw json.RawMessage, _ string) error {
		if raw == nil {
			return nil
		}
		event, err := decode(raw)
		if err != nil {
			return err
		}
		return each(event)
	}})
}

func decode(raw json.RawMessage) (Event, error) {
	var event Event
	if err := json.Unmarshal(raw, &event); err != nil {
		return event, fmt.Errorf("read an event: %w", err)
	}
	event.Raw = raw
	return event, nil
}
