package token

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/gatehouse/gatehouse/internal/loop"
)

const (
	refetchEvery  = 30 * time.Second // between two fetches that unknown kids cause (R48)
	retryEvery    = time.Second      // between two fetches while no set was ever loaded
	fetchTimeout  = 3 * time.Second
	minAge        = 5 * time.Second // an issuer's max_age is taken within these bounds
	maxAge        = time.Hour
	defaultMaxAge = 5 * time.Minute
)

// KeyCache is the KeySource of programs that do not own the keys. It keeps the last good set for as long as the issuer cannot be
// reached, refreshes it at half its max_age, and lets unknown kids cause at most one fetch per 30 s (R48). Safe for concurrent use.
type KeyCache struct {
	fetch  Fetch
	now    func() time.Time
	flight singleflight.Group

	mu     sync.RWMutex
	keys   map[string]Key // nil until the first good fetch
	age    time.Duration
	tried  time.Time // start of the last fetch
	forced time.Time // start of the last fetch that an unknown kid caused
}

// NewKeyCache makes an empty cache; Run keeps it fresh.
func NewKeyCache(fetch Fetch, now func() time.Time) *KeyCache {
	return &KeyCache{fetch: fetch, now: now, age: defaultMaxAge}
}

// Key returns the key of kid. While no set was ever loaded it is an error that is not ErrUnknownKey.
func (c *KeyCache) Key(ctx context.Context, kid string) (Key, error) {
	key, known, err := c.look(kid)
	if known || err != nil {
		return key, err
	}
	if err := c.refetch(ctx); err != nil {
		return Key{}, err
	}
	if key, known, _ = c.look(kid); !known {
		return Key{}, ErrUnknownKey
	}
	return key, nil
}

// look returns the key if it is known, or ErrUnknownKey if it is not and no further fetch is allowed now.
func (c *KeyCache) look(kid string) (key Key, known bool, err error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if key, known = c.keys[kid]; known {
		return key, true, nil
	}
	now := c.now()
	if c.keys == nil {
		if now.Sub(c.tried) < retryEvery {
			return Key{}, false, errors.New("no key set was loaded yet")
		}
		return Key{}, false, nil
	}
	if now.Sub(c.forced) < refetchEvery {
		return Key{}, false, ErrUnknownKey
	}
	return Key{}, false, nil
}

// refetch fetches because of an unknown kid. That the fetch fails is not the request's business once a set is loaded: the kid is then
// unknown. The fetch outlives the request that began it, since others wait for it too.
func (c *KeyCache) refetch(ctx context.Context) error {
	done := c.flight.DoChan("fetch", func() (any, error) {
		c.mu.Lock()
		loaded, late := c.keys != nil, c.now().Sub(c.forced) < refetchEvery
		if loaded && late { // another flight has just ended
			c.mu.Unlock()
			return nil, nil
		}
		c.forced = c.now()
		c.mu.Unlock()
		if err := c.Refresh(context.WithoutCancel(ctx)); err != nil && !loaded {
			return nil, err
		}
		return nil, nil
	})
	select {
	case r := <-done:
		return r.Err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Refresh fetches the set now. When that fails, or what came is not a good set, the old keys stay.
func (c *KeyCache) Refresh(ctx context.Context) error {
	c.mu.Lock()
	c.tried = c.now()
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	set, err := c.fetch(ctx)
	if err != nil {
		return fmt.Errorf("fetch key set: %w", err)
	}
	keys, err := keysOf(set.Keys)
	if err != nil {
		return fmt.Errorf("read key set: %w", err)
	}
	age := set.MaxAge
	if age == 0 {
		age = defaultMaxAge
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keys, c.age = keys, min(max(age, minAge), maxAge)
	return nil
}

// Run keeps the set fresh until ctx ends: at half of max_age, and every second after a failure, so that a removed key is refused
// within one max_age. report is told of each failure and of the first success after one (nil).
func (c *KeyCache) Run(ctx context.Context, report func(error)) {
	failed := false
	loop.Run(ctx, nil, func(ctx context.Context) time.Duration {
		err := c.Refresh(ctx)
		if ctx.Err() == nil && (err != nil || failed) {
			report(err)
		}
		if failed = err != nil; failed {
			return retryEvery
		}
		c.mu.RLock()
		defer c.mu.RUnlock()
		return c.age / 2
	})
}

// Set returns the keys known now, sorted by id; empty before the first good fetch.
func (c *KeyCache) Set() []Key {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return slices.SortedFunc(maps.Values(c.keys), func(a, b Key) int { return cmp.Compare(a.ID, b.ID) })
}

// MaxAge is how long the current set may be kept by others.
func (c *KeyCache) MaxAge() time.Duration {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.age
}
