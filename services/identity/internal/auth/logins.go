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
)

// Logins removes logins in Auth; it is user.Logins.
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
