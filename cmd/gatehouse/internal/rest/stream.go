package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/gatehouse/gatehouse/internal/loop"
)

// silence is how long a stream may say nothing: three heartbeats.
const silence = 15 * time.Second

// read hands over the lines of a stream after the cursor until the stream ends. heard is told the
// cursor of each line when it is done with.
func (c *Client) read(
	ctx context.Context, path string, query url.Values, cursor string, each func(json.RawMessage) error, heard func(cursor string),
) error {
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	answer, err := c.do(ctx, http.MethodGet, path, query, nil, "application/x-ndjson")
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	lines := json.NewDecoder(answer.Body)
	for {
		var line json.RawMessage
		if err := lines.Decode(&line); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return fmt.Errorf("read the stream of %s: %w", path, err)
		}
		var message struct {
			Cursor string   `json:"cursor"`
			Error  *Problem `json:"error"`
		}
		if err := json.Unmarshal(line, &message); err != nil {
			return fmt.Errorf("read the stream of %s: %w", path, err)
		}
		if message.Error != nil {
			return message.Error
		}
		if err := each(line); err != nil {
			return err
		}
		heard(message.Cursor)
	}
}

// follow reads until ctx ends or the gateway refuses. A stream that breaks, is silent or ends with
// its token is taken up again where it was; told hears why it broke.
func (c *Client) follow(
	ctx context.Context, path string, query url.Values, cursor string, each func(json.RawMessage) error, told func(error),
) error {
	return loop.Resume(ctx, loop.Stream{
		Cursor: cursor, Silence: silence, Pause: c.Pause, Told: told,
		Read: func(ctx context.Context, cursor string, heard func(string)) error {
			return c.renewed(ctx, c.read(ctx, path, query, cursor, each, heard))
		},
		Final: final,
	})
}

// renewed is an error as it is, but for that of an expired token in a session of the client: the
// next attempt has another token, unless that cannot be had.
func (c *Client) renewed(ctx context.Context, err error) error {
	if status(err) == http.StatusUnauthorized && c.refresh != "" {
		return c.renew(ctx)
	}
	return err
}

// final reports answers that no further attempt can change.
func final(err error) bool {
	answered := status(err)
	return answered != 0 && answered < 500 && answered != http.StatusTooManyRequests
}
