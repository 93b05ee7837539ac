package openid

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/gatehouse/gatehouse/services/auth/internal/client"
)

// maxCredential is the most bytes of a client id or secret that are looked at.
const maxCredential = 512

// credentials are what a client says of itself.
type credentials struct {
	id, secret string
}

// authenticate finds the client of a request and proves it by the one way that it is registered
// for: its secret, in the header or in the form (RFC 6749, section 2.3.1), or, for a public client,
// its id alone (section 3.2.1). Every refusal is the same invalid_client (R35).
func (p *Provider) authenticate(ctx context.Context, r *http.Request, form url.Values) (client.Client, error) {
	given, err := credentialsOf(r, form)
	if err != nil {
		return client.Client{}, err
	}
	c, err := p.clientOf(ctx, given.id)
	switch {
	case errors.Is(err, client.ErrNotFound):
		return client.Client{}, invalidClient("no such client")
	case err != nil:
		return client.Client{}, err
	case c.Public && given.secret != "":
		return client.Client{}, invalidClient("a public client has no secret")
	case !c.Public && !c.Authenticates(given.secret):
		return client.Client{}, invalidClient("wrong secret")
	}
	return c, nil
}

// confidential is authenticate for what only clients with a secret may do.
func (p *Provider) confidential(ctx context.Context, r *http.Request, form url.Values) (client.Client, error) {
	c, err := p.authenticate(ctx, r, form)
	if err == nil && c.Public {
		return client.Client{}, invalidClient("a public client may not ask this")
	}
	return c, err
}

// credentialsOf reads the one way that a request uses. An id in the form beside the header is
// admitted when it is the same one: libraries send it.
func credentialsOf(r *http.Request, form url.Values) (credentials, error) {
	if form.Has("client_assertion") || form.Has("client_assertion_type") {
		return credentials{}, invalidClient("client assertions are not supported")
	}
	given := credentials{id: form.Get("client_id"), secret: form.Get("client_secret")}
	if headers := r.Header.Values("Authorization"); len(headers) > 0 {
		header, err := basicOf(r, len(headers))
		switch {
		case err != nil:
			return credentials{}, err
		case given.secret != "":
			return credentials{}, invalidRequest("a client authenticates in one way, not in two")
		case given.id != "" && given.id != header.id:
			return credentials{}, invalidRequest("client_id is another one than in the Authorization header")
		}
		given = header
	}
	switch {
	case given.id == "":
		return credentials{}, invalidClient("no client id")
	case len(given.secret) > maxCredential:
		return credentials{}, invalidClient("too long")
	}
	return given, nil
}

// basicOf reads id and secret of the header, both of which are encoded as in a form (RFC 6749,
// section 2.3.1).
func basicOf(r *http.Request, headers int) (credentials, error) {
	id, secret, ok := r.BasicAuth()
	if !ok || headers != 1 {
		return credentials{}, invalidClient("not one Authorization header of the scheme Basic")
	}
	id, idErr := url.QueryUnescape(id)
	secret, secretErr := url.QueryUnescape(secret)
	if idErr != nil || secretErr != nil {
		return credentials{}, invalidClient("id or secret is not encoded as in a form")
	}
	return credentials{id: id, secret: secret}, nil
}
