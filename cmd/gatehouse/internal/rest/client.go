// Package rest asks the gateway through its REST interface, as any client would: sign in, list,
// follow, import, sign out. The commands for people's things import it.
package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse/gatehouse/internal/visible"
)

// Client speaks to a gateway. Its zero Token is that of nobody.
type Client struct {
	URL   string // such as "http://127.0.0.1:8080"
	Token string // access token
	HTTP  *http.Client
	Pause time.Duration // the longest before what broke is tried again; 0 means 1 s

	// Code asks whoever signs in for a code of the second factor; nil where nobody can be asked.
	Code func() (string, error)

	refresh string // what Token is renewed with, after SignIn
}

// Problem is a response that is an error (RFC 9457).
type Problem struct {
	Status int     `json:"status"`
	Reason string  `json:"reason"`
	Title  string  `json:"title"`
	Detail string  `json:"detail"`
	Errors []Field `json:"errors"`

	Stored int `json:"-"` // how much of a stream that was sent is stored nevertheless
}

// Field is a field that the gateway refuses.
type Field struct {
	Field       string `json:"field"`
	Description string `json:"description"`
}

// Error says what the gateway answered.
func (p *Problem) Error() string {
	text := p.Detail
	if text == "" {
		text = p.Title
	}
	return fmt.Sprintf("the gateway answers %d %s: %s", p.Status, visible.Text(p.Reason), visible.Text(text))
}

// SignIn starts a session whose tokens the client uses from then on, and asks for the second factor
// of who has one.
func (c *Client) SignIn(ctx context.Context, email, password string) error {
	return c.tokens(ctx, "/api/v1/auth/sign-in", map[string]string{"email": email, "password": password})
}

// renew gets another access token for the session that SignIn started.
func (c *Client) renew(ctx context.Context) error {
	return c.tokens(ctx, "/api/v1/auth/refresh", map[string]string{"refresh_token": c.refresh})
}

// tokens exchanges a credential for the session's next tokens. The old access token is not sent
// along: it may have expired.
func (c *Client) tokens(ctx context.Context, path string, credential map[string]string) error {
	body, err := json.Marshal(credential)
	if err != nil {
		return fmt.Errorf("encode a credential: %w", err)
	}
	c.Token = ""
	answer, err := c.do(ctx, http.MethodPost, path, nil, jsonBody(body), "application/json")
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	var tokens struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`

		Challenge *challenge `json:"challenge"`
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, 1<<20)).Decode(&tokens); err != nil {
		return fmt.Errorf("read the answer to %s: %w", path, err)
	}
	if tokens.Challenge != nil {
		return c.answer(ctx, *tokens.Challenge)
	}
	c.Token, c.refresh = tokens.Access, tokens.Refresh
	return nil
}

// challenge asks for a second factor before there are tokens.
type challenge struct {
	Token     string    `json:"token"`
	Enrolment *struct{} `json:"enrolment"` // there when one has to be enrolled first
}

// answer shows the second factor.
func (c *Client) answer(ctx context.Context, asked challenge) error {
	switch {
	case asked.Enrolment != nil:
		return errors.New("the organization requires a second factor: sign in on the gateway's page /sign-in first, which sets one up")
	case c.Code == nil:
		return errors.New("the account has a second factor, and nobody can be asked for its code")
	}
	code, err := c.Code()
	if err != nil {
		return err
	}
	kind := "code"
	if len(code) > 6 {
		kind = "recovery_code"
	}
	return c.tokens(ctx, "/api/v1/auth/sign-in/challenge", map[string]string{"token": asked.Token, kind: code})
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

// status is what the gateway answered; 0 when it did not, or with success.
func status(err error) int {
	var problem *Problem
	if errors.As(err, &problem) {
		return problem.Status
	}
	return 0
}

// payload is the body of a request.
type payload struct {
	kind string
	text io.Reader
}

func jsonBody(text []byte) *payload {
	return &payload{kind: "application/json", text: bytes.NewReader(text)}
}

// do makes a request; a response that is not a success is a *Problem.
func (c *Client) do(ctx context.Context, verb, path string, query url.Values, body *payload, accept string) (*http.Response, error) {
	address := strings.TrimSuffix(c.URL, "/") + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	var text io.Reader
	if body != nil {
		text = body.text
	}
	request, err := http.NewRequestWithContext(ctx, verb, address, text)
	if err != nil {
		return nil, fmt.Errorf("ask the gateway at %s: %w: correct --url", c.URL, err)
	}
	request.Header.Set("Accept", accept)
	if body != nil {
		request.Header.Set("Content-Type", body.kind)
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
	problem.Stored, _ = strconv.Atoi(answer.Header.Get("Gatehouse-Stored-Messages")) // none is none
	return nil, problem
}
