package rest

import (
	"context"
	"net/http"
	"net/url"
)

// StartUserReset has a user mailed a code with which the password is reset.
func (c *Client) StartUserReset(ctx context.Context, id string) error {
	_, err := c.call(ctx, http.MethodPost, "/api/v1/users/"+url.PathEscape(id)+":reset", nil, nil, nil)
	return err
}
