// Package auth is Auth as Identity needs it: a client of the calls that Identity's contract declares.
//
// Only the wiring imports it.
package auth

import (
	"context"
	"fmt"

	"github.com/gatehouse/gatehouse/internal/rpcstatus"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1/reason"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// Logins changes logins in Auth; it is user.Logins.
type Logins struct {
	client authv1.LoginServiceClient
}

// NewLogins returns the adapter over a client.
func NewLogins(client authv1.LoginServiceClient) *Logins { return &Logins{client: client} }

// RemoveLogin ends all sessions of the user and removes the login. It is idempotent.
func (l *Logins) RemoveLogin(ctx context.Context, userID string) error {
	if _, err := l.client.RemoveLogin(ctx, &authv1.RemoveLoginRequest{UserId: userID}); err != nil {
		return fmt.Errorf("remove the login in auth: %w", rpcstatus.FromCallee(ctx, err, reason.AuthUnavailable()))
	}
	return nil
}

// SetStanding suspends the login of a user or restores it. It is idempotent.
func (l *Logins) SetStanding(ctx context.Context, told user.Standing) error {
	var err error
	if told.Suspended {
		_, err = l.client.SuspendLogin(ctx, &authv1.SuspendLoginRequest{UserId: told.UserID, Revision: told.Revision})
	} else {
		_, err = l.client.RestoreLogin(ctx, &authv1.RestoreLoginRequest{UserId: told.UserID, Revision: told.Revision})
	}
	if err != nil {
		return fmt.Errorf("tell auth of a user's standing: %w", rpcstatus.FromCallee(ctx, err, reason.AuthUnavailable()))
	}
	return nil
}
