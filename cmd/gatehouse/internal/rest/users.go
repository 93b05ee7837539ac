package rest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// UserChange is a user as it is now, or one that is gone; Raw is all of the message. One without
// either says that everything was told.
type UserChange struct {
	User    *User `json:"user"`
	Deleted *User `json:"deleted"`

	Cursor string          `json:"cursor"`
	Raw    json.RawMessage `json:"-"`
}

// User is what of a user people are shown.
type User struct {
	ID             string `json:"id"`
	OrganizationID string `json:"organization_id"`
	Email          string `json:"email"`
	DisplayName    string `json:"display_name"`
	State          string `json:"state"` // as the contract names it
}

// FollowUsers hands over users and what changes, after the cursor or from the beginning, as follow
// does.
func (c *Client) FollowUsers(ctx context.Context, query url.Values, cursor string, each func(UserChange) error, told func(error)) error {
	return c.follow(ctx, "/api/v1/users:watch", query, cursor, func(line json.RawMessage) error {
		change := UserChange{Raw: line}
		if err := json.Unmarshal(line, &change); err != nil {
			return fmt.Errorf("read the stream of users: %w", err)
		}
		return each(change)
	}, told)
}

// ImportSize is how many users a message of an import has at most.
const ImportSize = 100

// Importing is a message of an import.
type Importing struct {
	OrganizationID string         `json:"organization_id"`
	Users          []ImportedUser `json:"users"`
}

// ImportedUser is a user of an import; an empty field is not given.
type ImportedUser struct {
	Email       string `json:"email"`
	DisplayName string `json:"display_name,omitempty"`
	Locale      string `json:"locale,omitempty"`
	TimeZone    string `json:"time_zone,omitempty"`
}

// Imported is what became of an import.
type Imported struct {
	Created   int64     `json:"created,string"`
	Exists    int64     `json:"exists,string"`
	Conflicts int64     `json:"conflicts,string"`
	Refusals  []Refusal `json:"refusals"`
}

// Refusal is a user that was not created, by its message, from 1, and its index there, from 0.
type Refusal struct {
	Message int64  `json:"message,string"`
	Index   int    `json:"index"`
	Email   string `json:"email"`
	Reason  string `json:"reason"`
}

// Import sends messages until all are stored or the gateway refuses one. An import that breaks is
// sent again, which is safe: what was stored counts as there before. told hears why it broke.
func (c *Client) Import(ctx context.Context, messages []Importing, told func(error)) (Imported, error) {
	for {
		answer, err := c.send(ctx, messages)
		if err == nil {
			return answer, nil
		}
		err = c.renewed(ctx, err)
		switch {
		case ctx.Err() != nil:
			return Imported{}, ctx.Err()
		case final(err):
			return Imported{}, err
		case err != nil:
			told(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(cmp.Or(c.Pause, time.Second)):
		}
	}
}

// send sends messages once.
func (c *Client) send(ctx context.Context, messages []Importing) (imported Imported, err error) {
	reader, writer := io.Pipe()
	go func() {
		lines := json.NewEncoder(writer)
		var err error
		for i := 0; i < len(messages) && err == nil; i++ {
			err = lines.Encode(messages[i])
		}
		_ = writer.CloseWithError(err) // nil is the end
	}()
	defer func() { _ = reader.Close() }() // ends the goroutine
	answer, err := c.do(ctx, http.MethodPost, "/api/v1/users:import", nil, &payload{kind: "application/x-ndjson", text: reader}, "application/json")
	if err != nil {
		return imported, err
	}
	defer func() { _ = answer.Body.Close() }()
	if err := json.NewDecoder(answer.Body).Decode(&imported); err != nil {
		return imported, fmt.Errorf("read the response to the import: %w", err)
	}
	return imported, nil
}
