package signingkey

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse/gatehouse/internal/token"
)

// IDAlgorithms are those of ID tokens: a client has one of them. The first is what clients get that
// ask for none, since it is what common libraries expect.
func IDAlgorithms() []string { return []string{token.RS256, token.ES256, token.EdDSA} }

// IDTokens signs ID tokens, with keys of each algorithm, and reads those that clients give back.
// Its keys are never among those that verify access tokens: verifiers refuse a set with a key that
// they do not know the algorithm of.
type IDTokens struct {
	keepers map[string]*Keeper // by algorithm
}

// NewIDTokens returns what signs with a keeper for each algorithm.
func NewIDTokens(keepers map[string]*Keeper) *IDTokens { return &IDTokens{keepers} }

// each does something with every keeper, whatever becomes of the others.
func (t *IDTokens) each(do func(*Keeper) error) error {
	var failed []error
	for _, algorithm := range IDAlgorithms() {
		if err := do(t.keepers[algorithm]); err != nil {
			failed = append(failed, fmt.Errorf("keys of ID tokens with %s: %w", algorithm, err))
		}
	}
	return errors.Join(failed...)
}

// Load reads the stored keys and makes none (Keeper.Load).
func (t *IDTokens) Load(ctx context.Context) error {
	return t.each(func(k *Keeper) error { return k.Load(ctx) })
}

// Refresh does Keeper.Refresh where it is due.
func (t *IDTokens) Refresh(ctx context.Context) error {
	return t.each(func(k *Keeper) error {
		if !k.Due() {
			return nil
		}
		return k.Refresh(ctx)
	})
}

// Sealing says what Keeper.Sealing says, of all keys.
func (t *IDTokens) Sealing() (two, needsPrevious bool) {
	for _, k := range t.keepers {
		twoHere, needed := k.Sealing()
		two, needsPrevious = two || twoHere, needsPrevious || needed
	}
	return two, needsPrevious
}

// SignIDToken makes a compact ID token with the active key of the algorithm. The error is
// apierr.KeysUnavailable while none is known.
func (t *IDTokens) SignIDToken(algorithm string, claims any) (string, error) {
	k, ok := t.keepers[algorithm]
	if !ok {
		return "", fmt.Errorf("no keys of ID tokens have the algorithm %q", algorithm)
	}
	r := k.ring.Load()
	if r == nil {
		return "", errNoKeys
	}
	return token.SignIDToken(claims, r.active)
}

// VerifyIDToken returns the claims, as JSON, of a token that was signed here, however long ago:
// keys are kept for it (Policy.Keep).
func (t *IDTokens) VerifyIDToken(compact string) ([]byte, error) {
	return token.VerifyIDToken(compact, func(kid string) *token.Key {
		for _, k := range t.keepers {
			r := k.ring.Load()
			if r == nil {
				continue
			}
			if i := slices.IndexFunc(r.kept, func(key token.Key) bool { return key.ID == kid }); i >= 0 {
				return &r.kept[i]
			}
		}
		return nil
	})
}

// Set returns the public keys to publish and how long they may be kept. It is an error while those
// of an algorithm are not known.
func (t *IDTokens) Set() ([]token.Key, time.Duration, error) {
	var all []token.Key
	var maxAge time.Duration
	for _, algorithm := range IDAlgorithms() {
		keys, age, err := t.keepers[algorithm].Set()
		if err != nil {
			return nil, 0, err
		}
		all, maxAge = append(all, keys...), age
	}
	return all, maxAge, nil
}
