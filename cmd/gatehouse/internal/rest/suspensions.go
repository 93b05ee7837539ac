package rest

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
)

// SuspendUser keeps a user from signing in.
func (c *Client) SuspendUser(ctx context.Context, id string) (User, error) {
	return c.stand(ctx, id, "suspend")
}

// RestoreUser lets a user sign in again.
func (c *Client) RestoreUser(ctx context.Context, id string) (User, error) {
	return c.stand(ctx, id, "restore")
}

func (c *Client) stand(ctx context.Context, id, verb string) (u User, err error) {
	_, err = c.call(ctx, http.MethodPost, "/api/v1/users/"+url.PathEscape(id)+":"+verb, nil, nil, &u)
	return u, err
}

// UsersByEmail returns the users with an address: of one organization, or of all when it is empty.
func (c *Client) UsersByEmail(ctx context.Context, email, organizationID string) ([]User, error) {
	text, err := json.Marshal(email) // quoted as a filter's texts are
	if err != nil {
		return nil, err
	}
	query := url.Values{"filter": {"email = " + string(text)}}
	if organizationID != "" {
		query.Set("organization_id", organizationID)
	}
	var page struct {
		Users []User `json:"users"`
	}
	_, err = c.call(ctx, http.MethodGet, "/api/v1/users", query, nil, &page)
	return page.Users, err
}
