package app

import (
	"log/slog"
	"time"

	"go.uber.org/fx"

	"github.com/gatehouse/gatehouse/services/auth/internal/factor"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
	"github.com/gatehouse/gatehouse/services/auth/internal/password"
	"github.com/gatehouse/gatehouse/services/auth/internal/proof"
	"github.com/gatehouse/gatehouse/services/auth/internal/reset"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
	"github.com/gatehouse/gatehouse/services/auth/internal/throttle"
)

// resetParams are what resets of passwords are made of.
type resetParams struct {
	fx.In

	Store     reset.Store
	Logins    login.Store
	Codes     proof.Store
	Factors   *factor.Service
	Hasher    login.Hasher
	Passwords password.Policy
	Throttle  *throttle.Guard
	Desk      *mail.Desk
	Courier   *mail.Courier
	Feed      *session.Feed
	Now       func() time.Time
	Log       *slog.Logger
}

func newResets(p resetParams) *reset.Service {
	return reset.NewService(reset.Params{
		Store: p.Store, Logins: p.Logins, Codes: p.Codes, Factors: p.Factors, Hasher: p.Hasher, Passwords: p.Passwords, Throttle: p.Throttle,
		Desk: p.Desk, RevocationPeriod: session.RevocationPeriod, Now: p.Now, Log: p.Log,
		Wake: func() {
			p.Feed.Wake()
			p.Courier.Wake()
		},
	})
}
