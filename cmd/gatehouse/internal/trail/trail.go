// Package trail reads the audit trail through the gateway's REST interface, as any client would: sign in, list, follow, sign out.
// The `audit` commands import it.
package trail

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gatehouse/gatehouse/internal/loop"
	"github.com/gatehouse/gatehouse/internal/visible"
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
	Count      int64     `json:"count,string"`

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

// Client speaks to a gateway. Its zero Token is that of nobody.
type Client struct {
	URL   string // such as "http://127.0.0.1:8080"
	Token string // access token
	HTTP  *http.Client
	Pause time.Duration // the longest before Follow takes a stream up again; 0 means 1 s

	refresh string // what Token is renewed with, after SignIn
}

// Problem is a response that is an error (RFC 9457).
type Problem struct {
	Status int    `json:"status"`
	Reason string `json:"reason"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
}

// Error says what the gateway answered.
func (p *Problem) Error() string {
	text := p.Detail
	if text == "" {
		text = p.Title
	}
	return fmt.Sprintf("the gateway answers %d %s: %s", p.Status, visible.Text(p.Reason), visible.Text(text))
}

// SignIn starts a session whose tokens the client uses from then on.
func (c *Client) SignIn(ctx context.Context, email, password string) error {
	return c.tokens(ctx, "/api/v1/auth/sign-in", map[string]string{"email": email, "password": password})
}

// renew gets another access token for the session that SignIn started.
func (c *Client) renew(ctx context.Context) error {
	return c.tokens(ctx, "/api/v1/auth/refresh", map[string]string{"refresh_token": c.refresh})
}

// tokens exchanges a credential for the session's next tokens. The old access token is not sent along: it may have expired.
func (c *Client) tokens(ctx context.Context, path string, credential map[string]string) error {
	body, err := json.Marshal(credential)
	if err != nil {
		return fmt.Errorf("encode a credential: %w", err)
	}
	c.Token = ""
	answer, err := c.do(ctx, http.MethodPost, path, nil, body, "application/json")
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	var tokens struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, 1<<20)).Decode(&tokens); err != nil {
		return fmt.Errorf("read the answer to %s: %w", path, err)
	}
	c.Token, c.refresh = tokens.Access, tokens.Refresh
	return nil
}

// SignOut ends the session, if there is one that can still be named.
func (c *Client) SignOut(ctx context.Context) error {
	if c.Token == "" {
		return nil
	}
	answer, err := c.do(ctx, http.MethodPost, "/api/v1/auth/sign-out", nil, nil, "application/json")
	if err != nil {
		return err
	}
	return answer.Body.Close()
}

// List hands over at most limit events that match the query, newest first.
func (c *Client) List(ctx context.Context, query url.Values, limit int, each func(Event) error) error {
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

// tail hands over events that match the query as they are stored, after the cursor or from now on, until the stream ends. heard is
// told the cursor of each message, also of one without an event.
func (c *Client) tail(ctx context.Context, query url.Values, cursor string, each func(Event) error, heard func(cursor string)) error {
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	answer, err := c.do(ctx, http.MethodGet, "/api/v1/audit/events:tail", query, nil, "application/x-ndjson")
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	lines := json.NewDecoder(answer.Body)
	for {
		var message struct {
			Event  json.RawMessage `json:"event"`
			Cursor string          `json:"cursor"`
			Error  *Problem        `json:"error"`
		}
		if err := lines.Decode(&message); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return fmt.Errorf("read the stream of events: %w", err)
		}
		if message.Error != nil {
			return message.Error
		}
		if len(message.Event) > 0 && !bytes.Equal(message.Event, []byte("null")) {
			event, err := decode(message.Event)
			if err != nil {
				return err
			}
			if err := each(event); err != nil {
				return err
			}
		}
		heard(message.Cursor)
	}
}

// silence is how long a stream may say nothing: three of the trail's heartbeats.
const silence = 15 * time.Second

// Follow tails until ctx ends or the gateway refuses. A stream that breaks, is silent or ends with its token is taken up again where it
// was; told hears why it broke.
func (c *Client) Follow(ctx context.Context, query url.Values, cursor string, each func(Event) error, told func(error)) error {
	return loop.Resume(ctx, loop.Stream{
		Cursor: cursor, Silence: silence, Pause: c.Pause, Told: told,
		Read: func(ctx context.Context, cursor string, heard func(string)) error {
			err := c.tail(ctx, query, cursor, each, heard)
			if status(err) == http.StatusUnauthorized && c.refresh != "" {
				err = c.renew(ctx)
			}
			return err
		},
		Final: func(err error) bool {
			answered := status(err)
			return answered != 0 && answered < 500 && answered != http.StatusTooManyRequests
		},
	})
}

// status is what the gateway answered; 0 when it did not, or with success.
func status(err error) int {
	var problem *Problem
	if errors.As(err, &problem) {
		return problem.Status
	}
	return 0
}

func decode(raw json.RawMessage) (Event, error) {
	var event Event
	if err := json.Unmarshal(raw, &event); err != nil {
		return event, fmt.Errorf("read an event: %w", err)
	}
	event.Raw = raw
	return event, nil
}

// do makes a request; a response that is not a success is a *Problem.
func (c *Client) do(ctx context.Context, verb, path string, query url.Values, body []byte, accept string) (*http.Response, error) {
	address := strings.TrimSuffix(c.URL, "/") + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, verb, address, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("ask the gateway at %s: %w: correct --url", c.URL, err)
	}
	request.Header.Set("Accept", accept)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.Token != "" {
		request.Header.Set("Authorization", "Bearer "+c.Token)
	}
	answer, err := c.HTTP.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask the gateway at %s: %w", c.URL, err)
	}
	if answer.StatusCode < 300 {
		return answer, nil
	}
	defer func() { _ = answer.Body.Close() }()
	problem := &Problem{}
	if err := json.NewDecoder(io.LimitReader(answer.Body, 1<<20)).Decode(problem); err != nil || problem.Status == 0 {
		problem = &Problem{Status: answer.StatusCode, Title: http.StatusText(answer.StatusCode)}
	}
	return nil, problem
}
