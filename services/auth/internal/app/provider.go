package app

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"go.uber.org/fx"

	"github.com/gatehouse/gatehouse/internal/access"
	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/token"
	"github.com/gatehouse/gatehouse/services/auth/internal/client"
	"github.com/gatehouse/gatehouse/services/auth/internal/openid"
	"github.com/gatehouse/gatehouse/services/auth/internal/pages"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
	"github.com/gatehouse/gatehouse/services/auth/internal/signingkey"
)

// providerParams are what the OpenID provider is made of.
type providerParams struct {
	fx.In

	Config      Config
	Contract    *contract.Contract
	Pages       *pages.Pages
	Keeper      *signingkey.Keeper
	IDTokens    *signingkey.IDTokens
	Sealer      *signingkey.Sealer
	Clients     client.Store
	Browsers    *session.Browsers
	Sessions    *session.Service
	Store       openid.Store
	People      openid.People
	Permissions access.Permissions
	Access      *token.Verifier
	Now         func() time.Time
	Log         *slog.Logger
}

func newProvider(p providerParams) (*openid.Provider, error) {
	codes, err := newCodes(p.Sealer, p.Keeper)
	if err != nil {
		return nil, err
	}
	return openid.New(openid.Params{
		Issuer: p.Config.Kernel.Token.Issuer, Contract: p.Contract, Keys: publicKeys{p.Keeper, p.IDTokens}, Clients: p.Clients, Browsers: p.Browsers,
		Sessions: p.Sessions, Store: p.Store, People: p.People, Pages: p.Pages, Permissions: p.Permissions, Codes: codes, IDTokens: p.IDTokens,
		Access: p.Access, NewID: uuid.NewString, Now: p.Now, Log: p.Log,
	}), nil
}

// newCodes seals authorization codes with what follows from the sealing key of the signing keys.
// While that is replaced, all instances know the previous one for as long as the signing keys need
// it.
func newCodes(sealer *signingkey.Sealer, keeper *signingkey.Keeper) (*openid.Codes, error) {
	current, previous, err := sealer.Derive(openid.CodePurpose)
	if err != nil {
		return nil, fmt.Errorf("open the key of codes: %w", err)
	}
	return openid.NewCodes(current, previous, previousOf(keeper)), nil
}
