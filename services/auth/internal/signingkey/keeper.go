package signingkey

import (
	"context"
	"crypto"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/token"
)

// Keeper holds the current keys of one purpose in memory: it signs with the active one and knows
// the public halves of all. Any number of instances may keep the same stored keys; the store lets
// one at a time change them.
type Keeper struct {
	policy Policy
	store  Store
	sealer *Sealer
	random io.Reader
	now    func() time.Time
	ring   atomic.Pointer[ring]

	made chan crypto.Signer // not stored yet
}

// ring is one reading of the stored keys, opened.
type ring struct {
	active     token.SigningKey
	public     []token.Key // next, active, retired: the key set
	kept       []token.Key // these, and those that are not published any more
	byPrevious bool        // the sealing key of before has sealed the active one
	read       time.Time
}

// NewKeeper returns a keeper that knows no key until the first Refresh.
func NewKeeper(policy Policy, store Store, sealer *Sealer, random io.Reader, now func() time.Time) *Keeper {
	return &Keeper{policy: policy, store: store, sealer: sealer, random: random, now: now, made: make(chan crypto.Signer, spare)}
}

// Refresh reads the stored keys and moves them on if that is due; the first call on an empty store makes them. After an error the keys
// known so far stay in use. ErrWrongSealingKey says that the stored keys cannot be opened.
func (k *Keeper) Refresh(ctx context.Context) error {
	asked := k.now()
	keys, err := k.store.List(ctx)
	if err != nil {
		return err
	}
	if k.policy.due(keys, k.now()) {
		if err := k.prepare(keys); err != nil {
			return err
		}
		keys, err = k.store.Change(ctx, func(stored []Key) (Plan, error) {
			planned, err := k.plan(slices.Clone(stored))
			return Plan{Keys: planned, Events: Events(ctx, stored, planned)}, err
		})
		if err != nil {
			return err
		}
	}
	return k.know(keys, asked)
}

// know opens keys that were asked for at a time: they are the known ones from now on.
func (k *Keeper) know(keys []Key, asked time.Time) error {
	r, err := k.open(keys)
	if err != nil {
		return err
	}
	r.read = asked
	k.ring.Store(r)
	return nil
}

// Load reads the stored keys as Refresh does, but makes and changes none: it is quick. Where none
// are stored nothing is known afterwards, which is no error.
func (k *Keeper) Load(ctx context.Context) error {
	asked := k.now()
	keys, err := k.store.List(ctx)
	if err != nil || len(keys) == 0 {
		return err
	}
	return k.know(keys, asked)
}

// spare is how many keys a change can need.
const spare = 2

// prepare makes the keys that a change will need before it locks anything: an RSA key takes a while
// to find.
func (k *Keeper) prepare(keys []Key) error {
	_, missing := k.policy.advance(keys, k.now())
	for len(k.made) < len(missing) {
		signer, err := generateSigner(k.random, k.policy.Algorithm)
		if err != nil {
			return err
		}
		select {
		case k.made <- signer:
		default: // another Refresh made some meanwhile
			return nil
		}
	}
	return nil
}

// signer is a new key: one that was made before, if there is one.
func (k *Keeper) signer() (crypto.Signer, error) {
	select {
	case made := <-k.made:
		return made, nil
	default:
		return generateSigner(k.random, k.policy.Algorithm)
	}
}

// Loaded reports whether any Refresh succeeded.
func (k *Keeper) Loaded() bool { return k.ring.Load() != nil }

// Sealing says which sealing keys the stored signing keys need: whether there are two, and whether
// the previous one is needed still.
func (k *Keeper) Sealing() (two, needsPrevious bool) {
	r := k.ring.Load()
	return k.sealer.previous != nil, r != nil && r.byPrevious
}

// Due reports whether it is time for a Refresh: none succeeded within Policy.Reload.
func (k *Keeper) Due() bool {
	r := k.ring.Load()
	return r == nil || k.now().Sub(r.read) >= k.policy.Reload()
}

// plan is what the stored keys should be now. It refuses to add keys beside ones that this sealer cannot open.
func (k *Keeper) plan(keys []Key) ([]Key, error) {
	sealer, err := k.sealer.like(keys)
	if err != nil {
		return nil, err
	}
	now := k.now()
	kept, missing := k.policy.advance(keys, now)
	for _, state := range missing {
		signer, err := k.signer()
		if err != nil {
			return nil, err
		}
		made, err := k.policy.seal(k.random, sealer, signer, state, now)
		if err != nil {
			return nil, err
		}
		kept = append(kept, made)
	}
	return kept, nil
}

func (k *Keeper) open(keys []Key) (*ring, error) {
	r := &ring{}
	for _, stored := range keys {
		public, err := stored.publicKey()
		if err != nil {
			return nil, err
		}
		r.kept = append(r.kept, public)
		if k.policy.published(stored, k.now()) {
			r.public = append(r.public, public)
		}
		if stored.State != Active {
			continue
		}
		if r.active, r.byPrevious, err = stored.signingKey(k.sealer); err != nil {
			return nil, err
		}
	}
	if r.active.Signer == nil {
		return nil, fmt.Errorf("open signing keys: none of %d is active", len(keys))
	}
	return r, nil
}

// errNoKeys is the error before the first good Refresh.
var errNoKeys = apierr.KeysUnavailable().Saying("the signing keys are not loaded yet").WithRetryAfter(time.Second)

// errOldKeys is Check's answer when the keys could not be read for too long.
var errOldKeys = apierr.KeysUnavailable().Saying("the signing keys were not read from the database lately").WithRetryAfter(time.Second)

// Sign makes an access token with the active key.
func (k *Keeper) Sign(claims token.Claims) (string, error) {
	r := k.ring.Load()
	if r == nil {
		return "", errNoKeys
	}
	return token.Sign(claims, r.active)
}

// Key makes the keeper Auth's own token.KeySource.
func (k *Keeper) Key(_ context.Context, kid string) (token.Key, error) {
	r := k.ring.Load()
	if r == nil {
		return token.Key{}, errNoKeys
	}
	i := slices.IndexFunc(r.public, func(key token.Key) bool { return key.ID == kid })
	if i < 0 {
		return token.Key{}, token.ErrUnknownKey
	}
	return r.public[i], nil
}

// Set returns the public keys to publish and how long they may be cached.
func (k *Keeper) Set() ([]token.Key, time.Duration, error) {
	r := k.ring.Load()
	if r == nil {
		return nil, 0, errNoKeys
	}
	return r.public, k.policy.MaxAge, nil
}

// Check is the readiness check "keys": an error before the first good Refresh, and while the last one is longer ago than other instances
// wait for the slowest.
func (k *Keeper) Check(context.Context) error {
	r := k.ring.Load()
	switch {
	case r == nil:
		return errNoKeys
	case k.now().Sub(r.read) > k.policy.slowest():
		return errOldKeys
	}
	return nil
}
