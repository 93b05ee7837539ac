package auth

import (
	"context"
	"fmt"

	"github.com/gatehouse/gatehouse/internal/rpcstatus"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	authreason "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1/reason"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1/reason"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// Invitations lets Auth mail invitations; it is user.Invitations.
type Invitations struct {
	client authv1.InvitationServiceClient
}

// NewInvitations returns the adapter over a client.
func NewInvitations(client authv1.InvitationServiceClient) *Invitations {
	return &Invitations{client: client}
}

// CanInvite implements user.Invitations.
func (i *Invitations) CanInvite(ctx context.Context) error {
	return i.call(ctx, &authv1.InviteLoginRequest{ValidateOnly: true})
}

// Invite implements user.Invitations.
func (i *Invitations) Invite(ctx context.Context, in user.Invitation) error {
	return i.call(ctx, &authv1.InviteLoginRequest{
		UserId: in.UserID, Email: in.Email, DisplayName: in.DisplayName, Revision: in.Revision, Language: in.Locale,
	})
}

func (i *Invitations) call(ctx context.Context, r *authv1.InviteLoginRequest) error {
	if _, err := i.client.InviteLogin(ctx, r); err != nil {
		return fmt.Errorf("mail an invitation by auth: %w", rpcstatus.FromCallee(ctx, err, reason.AuthUnavailable(), authreason.MailNotConfigured()))
	}
	return nil
}
