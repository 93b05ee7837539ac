package app

import (
	"crypto/rand"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/internal/token"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
	"github.com/gatehouse/gatehouse/services/auth/internal/signingkey"
)

// newSealer opens the sealing key.
func newSealer(c Config) (*signingkey.Sealer, error) {
	return signingkey.OpenSealer(c.Keys.Seal.File, c.Keys.Seal.PreviousFile)
}

// newKeeper keeps the keys of access tokens; they are loaded when the program starts.
func newKeeper(c Config, sealer *signingkey.Sealer, store signingkey.Store, now func() time.Time) *signingkey.Keeper {
	return signingkey.NewKeeper(c.policy(), store, sealer, rand.Reader, now)
}

// newIDTokens keeps the keys of ID tokens.
func newIDTokens(c Config, sealer *signingkey.Sealer, pool *pgxpool.Pool, box *outbox.Outbox, now func() time.Time) *signingkey.IDTokens {
	keepers := map[string]*signingkey.Keeper{}
	for _, algorithm := range signingkey.IDAlgorithms() {
		keepers[algorithm] = signingkey.NewKeeper(c.idPolicy(algorithm), postgres.NewIDTokenKeys(pool, box, algorithm), sealer, rand.Reader, now)
	}
	return signingkey.NewIDTokens(keepers)
}

// idPolicy is that of the keys of ID tokens with the algorithm. Clients show an ID token as a hint
// while its session lasts, so its key is kept.
func (c Config) idPolicy(algorithm string) signingkey.Policy {
	p := c.policy()
	p.Purpose, p.Algorithm, p.Keep = signingkey.ForID, algorithm, session.MaxLifetime
	return p
}

// keyStores are all stores of signing keys.
func keyStores(pool *pgxpool.Pool, box *outbox.Outbox) []signingkey.Store {
	stores := []signingkey.Store{postgres.NewSigningKeys(pool, box)}
	for _, algorithm := range signingkey.IDAlgorithms() {
		stores = append(stores, postgres.NewIDTokenKeys(pool, box, algorithm))
	}
	return stores
}

// publicKeys are those that verify what Auth signs, of access tokens and of ID tokens.
type publicKeys struct {
	access *signingkey.Keeper
	ids    *signingkey.IDTokens
}

// Set returns them, and how long they may be kept.
func (k publicKeys) Set() ([]token.Key, time.Duration, error) {
	access, maxAge, err := k.access.Set()
	if err != nil {
		return nil, 0, err
	}
	ids, _, err := k.ids.Set()
	return append(ids, access...), maxAge, err
}
