package fxmod

import (
	"context"
	"log/slog"
	"time"

	"go.uber.org/fx"

	"github.com/gatehouse/gatehouse/internal/client/auth"
	"github.com/gatehouse/gatehouse/internal/token"
)

// Tokens are the parts that keep current what bearer tokens are verified by.
type Tokens Parts

// RemoteTokens provides *token.Verifier, *token.KeyCache and *token.RevocationList for programs
// that are not the issuer. Keys and ended sessions come from Auth through the mesh; neither is a
// health check, for Auth being down is those requests' 503.
func RemoteTokens() fx.Option {
	return fx.Options(
		Client(auth.Name, auth.Verification),
		fx.Provide(
			fx.Annotate(token.NewKeyCache, fx.As(fx.Self()), fx.As(new(token.KeySource))),
			fx.Annotate(token.NewRevocationList, fx.As(fx.Self()), fx.As(new(token.Revocations))),
			auth.KeySet,
			auth.NewFeed,
			token.NewVerifier,
			remoteTokens,
		),
	)
}

// remoteTokens may start in either order: a request that comes before both is answered with 503.
func remoteTokens(keys *token.KeyCache, feed auth.Feed, log *slog.Logger) Tokens {
	refresh := func(ctx context.Context) {
		keys.Run(ctx, func(err error) {
			if err != nil {
				log.WarnContext(ctx, "the key set is not refreshed", "error", err.Error())
				return
			}
			log.InfoContext(ctx, "the key set is refreshed again")
		})
	}
	return Tokens{Background("the key set", refresh), Background("the feed of ended sessions", feed)}
}

// LocalTokens provides *token.Verifier for the issuer itself, from its own token.KeySource and
// token.Revocations, which the issuer's own work keeps current.
func LocalTokens() fx.Option {
	return fx.Provide(
		func(c token.Config, keys token.KeySource, ended token.Revocations, now func() time.Time) *token.Verifier {
			return token.NewVerifier(c, keys, ended, now)
		},
		func() Tokens { return nil },
	)
}
