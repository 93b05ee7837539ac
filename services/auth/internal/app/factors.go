package app

import (
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/fx"

	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/services/auth/internal/factor"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres"
	"github.com/gatehouse/gatehouse/services/auth/internal/proof"
	"github.com/gatehouse/gatehouse/services/auth/internal/seal"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
	"github.com/gatehouse/gatehouse/services/auth/internal/signingkey"
	"github.com/gatehouse/gatehouse/services/auth/internal/throttle"
)

// factorParams are what the service of second factors is made of.
type factorParams struct {
	fx.In

	Config   Config
	Store    factor.Store
	Sealer   *signingkey.Sealer
	Keeper   *signingkey.Keeper
	Throttle *throttle.Guard
	Desk     *mail.Desk
	Codes    proof.Store
	Identity factor.Organizations
	Courier  *mail.Courier
	Feed     *session.Feed
	Now      func() time.Time
	Log      *slog.Logger
}

func newFactors(p factorParams) (*factor.Service, error) {
	issuer, err := url.Parse(p.Config.Kernel.Token.Issuer)
	if err != nil {
		return nil, fmt.Errorf("read the issuer: %w", err)
	}
	usePrevious := previousOf(p.Keeper)
	secrets, err := newBox(p.Sealer, factor.SecretPurpose, usePrevious)
	if err != nil {
		return nil, err
	}
	tokens, err := newBox(p.Sealer, factor.TokenPurpose, usePrevious)
	if err != nil {
		return nil, err
	}
	return factor.NewService(factor.Params{
		Store: p.Store, Secrets: secrets, Tokens: tokens, Throttle: p.Throttle, Desk: p.Desk, Codes: p.Codes, Organizations: p.Identity, Site: issuer.Hostname(),
		RevocationPeriod: session.RevocationPeriod, Now: p.Now, Log: p.Log,
		Wake: func() {
			p.Feed.Wake()
			p.Courier.Wake()
		},
	}), nil
}

// previousOf tells whether an instance may not know the current sealing key yet.
func previousOf(keeper *signingkey.Keeper) func() bool {
	return func() bool {
		_, needsPrevious := keeper.Sealing()
		return needsPrevious
	}
}

// newBox seals for a purpose with what follows from the sealing key of the signing keys.
func newBox(sealer *signingkey.Sealer, purpose string, usePrevious func() bool) (*seal.Box, error) {
	current, previous, err := sealer.Derive(purpose)
	if err != nil {
		return nil, err
	}
	return seal.NewBox(purpose, current, previous, usePrevious), nil
}

// resealer seals the secrets of second factors anew, and needs nothing else.
func resealer(sealer *signingkey.Sealer, pool *pgxpool.Pool, box *outbox.Outbox) (*factor.Service, error) {
	secrets, err := newBox(sealer, factor.SecretPurpose, func() bool { return false })
	if err != nil {
		return nil, err
	}
	return factor.NewService(factor.Params{Store: postgres.NewFactors(pool, box, nil), Secrets: secrets}), nil
}
