package rest

import (
	"context"
	"net/http"
	"net/url"
)

// Invited is somebody to invite; an empty name is not given.
type Invited struct {
	OrganizationID string `json:"organization_id"`
	Email          string `json:"email"`
	DisplayName    string `json:"display_name,omitempty"`
}

const invitationsPath = "/api/v1/invitations"

// InviteUser creates a user who is invited, and has a code mailed.
func (c *Client) InviteUser(ctx context.Context, i Invited) (u User, err error) {
	_, err = c.call(ctx, http.MethodPost, invitationsPath, nil, i, &u)
	return u, err
}

// ResendInvitation has another code mailed to a user who is invited.
func (c *Client) ResendInvitation(ctx context.Context, id string) (u User, err error) {
	_, err = c.call(ctx, http.MethodPost, invitationsPath+"/"+url.PathEscape(id)+":resend", nil, struct{}{}, &u)
	return u, err
}

// CancelInvitation deletes a user who is invited.
func (c *Client) CancelInvitation(ctx context.Context, id string) error {
	_, err := c.call(ctx, http.MethodDelete, invitationsPath+"/"+url.PathEscape(id), nil, nil, nil)
	return err
}

// Me returns the user of the token.
func (c *Client) Me(ctx context.Context) (User, error) {
	var answer struct {
		User User `json:"user"`
	}
	_, err := c.call(ctx, http.MethodGet, "/api/v1/me", nil, nil, &answer)
	return answer.User, err
}
