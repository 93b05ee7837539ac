package app

import (
	"log/slog"
	"time"

	"go.uber.org/fx"

	"github.com/gatehouse/gatehouse/services/auth/internal/emailchange"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
	"github.com/gatehouse/gatehouse/services/auth/internal/proof"
)

// emailParams are what changes of addresses are made of.
type emailParams struct {
	fx.In

	Store     emailchange.Store
	Logins    login.Store
	Codes     proof.Store
	Directory emailchange.Directory
	Desk      *mail.Desk
	Courier   *mail.Courier
	Now       func() time.Time
	Log       *slog.Logger
}

func newEmailChanges(p emailParams) *emailchange.Service {
	return emailchange.NewService(emailchange.Params{
		Store: p.Store, Logins: p.Logins, Codes: p.Codes, Directory: p.Directory, Desk: p.Desk, Timeout: createUserTimeout, Grace: signUpGrace,
		Retry: signUpRetry, Now: p.Now, Wake: p.Courier.Wake, Log: p.Log,
	})
}
