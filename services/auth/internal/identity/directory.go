// Package identity is Identity as Auth calls it through the mesh: an adapter between the login package and the contract
// gatehouse.identity.v1.
//
// Only the wiring imports it.
package identity

import (
	"context"
	"errors"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/rpcstatus"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1/reason"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
	identityreason "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1/reason"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
)

// Directory implements login.Directory.
type Directory struct {
	client identityv1.UserDirectoryServiceClient
}

// NewDirectory returns the directory behind a client.
func NewDirectory(client identityv1.UserDirectoryServiceClient) *Directory {
	return &Directory{client: client}
}

// refusals are the answers by which Identity refuses a user for good.
func refusals() []*apierr.Error {
	return []*apierr.Error{
		apierr.InvalidArgumentError(), identityreason.EmailTaken(), identityreason.UserIDTaken(), identityreason.OrganizationIDTaken(),
	}
}

// CreateUser implements login.Directory.
func (d *Directory) CreateUser(ctx context.Context, n login.NewUser) (login.User, error) {
	resp, err := d.client.RegisterUser(ctx, &identityv1.RegisterUserRequest{Id: n.ID, Email: n.Email, DisplayName: n.DisplayName, EmailVerified: n.EmailVerified})
	if err != nil {
		return login.User{}, rpcstatus.FromCallee(ctx, err, reason.IdentityUnavailable(), refusals()...)
	}
	return answered(n.ID, resp.GetUser(), resp.GetConsistencyToken())
}

// ActivateUser implements login.Directory.
func (d *Directory) ActivateUser(ctx context.Context, userID string) (login.User, error) {
	resp, err := d.client.ActivateUser(ctx, &identityv1.ActivateUserRequest{Id: userID})
	if err != nil {
		return login.User{}, rpcstatus.FromCallee(ctx, err, reason.IdentityUnavailable(), identityreason.UserNotFound())
	}
	return answered(userID, resp.GetUser(), resp.GetConsistencyToken())
}

// answered is the user of an answer.
func answered(id string, u *identityv1.User, token string) (login.User, error) {
	if u.GetId() != id || u.GetOrganizationId() == "" {
		return login.User{}, errors.New("identity answered with another user, or one without an organization")
	}
	return login.User{
		ID: u.GetId(), OrganizationID: u.GetOrganizationId(), Email: u.GetEmail(), DisplayName: u.GetDisplayName(),
		Locale: u.GetLocale(), TimeZone: u.GetTimeZone(), ETag: u.GetEtag(),
		State: u.GetState().String(), EmailVerified: u.GetEmailVerified(),
		CreateTime: u.GetCreateTime().AsTime(), UpdateTime: u.GetUpdateTime().AsTime(),
		ConsistencyToken: token,
	}, nil
}

// SetEmail implements login.Directory.
func (d *Directory) SetEmail(ctx context.Context, e login.Email) error {
	_, err := d.client.SetUserEmail(ctx, &identityv1.SetUserEmailRequest{
		UserId: e.UserID, Email: e.Address, EmailVerified: e.Verified, Revision: e.Revision,
	})
	gone := identityreason.UserNotFound()
	if err = rpcstatus.FromCallee(ctx, err, reason.IdentityUnavailable(), gone, identityreason.EmailTaken()); errors.Is(err, gone) {
		return nil
	}
	return err
}
