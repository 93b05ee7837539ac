package rest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// OAuthClient is an application that people sign in to, as far as people are shown it; Raw is all
// of it.
type OAuthClient struct {
	ID           string         `json:"id"`
	Name         string         `json:"name"`
	Public       bool           `json:"public"`
	RedirectURIs []string       `json:"redirect_uris"`
	PlatformAPI  bool           `json:"platform_api"`
	Secrets      []ClientSecret `json:"secrets"`

	Raw json.RawMessage `json:"-"`
}

// ClientSecret is a secret that is valid; the secret itself is told once, when it is made.
type ClientSecret struct {
	ID         string    `json:"id"`
	CreateTime time.Time `json:"create_time"`
}

// UnmarshalJSON keeps the text beside what is read of it.
func (c *OAuthClient) UnmarshalJSON(text []byte) error {
	type plain OAuthClient
	c.Raw = append(json.RawMessage{}, text...)
	return json.Unmarshal(text, (*plain)(c))
}

// Registration is an application to register; what is empty is left to the platform.
type Registration struct {
	Name                   string   `json:"name"`
	Public                 bool     `json:"public,omitempty"`
	RedirectURIs           []string `json:"redirect_uris,omitempty"`
	PostLogoutRedirectURIs []string `json:"post_logout_redirect_uris,omitempty"`
	WebOrigins             []string `json:"web_origins,omitempty"`
	Audiences              []string `json:"audiences,omitempty"`
	Scopes                 []string `json:"scopes,omitempty"`
	PlatformAPI            bool     `json:"platform_api,omitempty"`
	IDTokenAlgorithm       string   `json:"id_token_algorithm,omitempty"`
	RequireVerifiedEmail   bool     `json:"require_verified_email,omitempty"`
}

// Registered is a client with the secret that was just made; a public one has none. Raw is all of
// the answer.
type Registered struct {
	Client OAuthClient `json:"client"`
	Secret string      `json:"secret"`

	Raw json.RawMessage `json:"-"`
}

const clientsPath = "/api/v1/clients"

// ListClients hands over all clients, page by page.
func (c *Client) ListClients(ctx context.Context, each func(OAuthClient) error) error {
	query := url.Values{"page_size": {"100"}}
	for {
		var page struct {
			Clients []OAuthClient `json:"clients"`
			Next    string        `json:"next_page_token"`
		}
		if _, err := c.call(ctx, http.MethodGet, clientsPath, query, nil, &page); err != nil {
			return err
		}
		for _, client := range page.Clients {
			if err := each(client); err != nil {
				return err
			}
		}
		if page.Next == "" {
			return nil
		}
		query.Set("page_token", page.Next)
	}
}

// GetClient returns one client.
func (c *Client) GetClient(ctx context.Context, id string) (client OAuthClient, err error) {
	_, err = c.call(ctx, http.MethodGet, clientPath(id), nil, nil, &client)
	return client, err
}

// CreateClient registers an application.
func (c *Client) CreateClient(ctx context.Context, wanted Registration) (created Registered, err error) {
	created.Raw, err = c.call(ctx, http.MethodPost, clientsPath, nil, wanted, &created)
	return created, err
}

// RotateClientSecret gives a client one more secret.
func (c *Client) RotateClientSecret(ctx context.Context, id string) (rotated Registered, err error) {
	rotated.Raw, err = c.call(ctx, http.MethodPost, clientPath(id)+"/secrets", nil, nil, &rotated)
	return rotated, err
}

// EndClientSecret ends one of two secrets.
func (c *Client) EndClientSecret(ctx context.Context, id, secretID string) error {
	_, err := c.call(ctx, http.MethodDelete, clientPath(id)+"/secrets/"+url.PathEscape(secretID), nil, nil, nil)
	return err
}

// DeleteClient removes a client and ends its sessions.
func (c *Client) DeleteClient(ctx context.Context, id string) error {
	_, err := c.call(ctx, http.MethodDelete, clientPath(id), nil, nil, nil)
	return err
}

func clientPath(id string) string { return clientsPath + "/" + url.PathEscape(id) }

// call makes one request and reads its answer, which it also returns as it is.
func (c *Client) call(ctx context.Context, verb, path string, query url.Values, body, answer any) (json.RawMessage, error) {
	var sent *payload
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("write the request to %s: %w", path, err)
		}
		sent = jsonBody(text)
	}
	response, err := c.do(ctx, verb, path, query, sent, "application/json")
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	if answer == nil {
		return nil, nil
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, 16<<20))
	if err == nil {
		err = json.Unmarshal(text, answer)
	}
	if err != nil {
		return nil, fmt.Errorf("read the answer to %s: %w", path, err)
	}
	return text, nil
}
