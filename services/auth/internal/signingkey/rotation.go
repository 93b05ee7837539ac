package signingkey

import (
	"time"

	"github.com/gatehouse/gatehouse/internal/token"
)

// Policy says when keys change state.
type Policy struct {
	Purpose   Purpose
	Algorithm string        // of new keys: token.EdDSA or token.ES256, of ID tokens token.RS256, too
	MaxAge    time.Duration // how long verifiers may cache the key set
	Interval  time.Duration // how long a key signs; longer than Notice
	Keep      time.Duration // how long a retired key is kept, if that is longer than it is published
}

// Reload is how often every instance should call Keeper.Refresh, so how long it may go on signing with a key that was retired.
func (p Policy) Reload() time.Duration {
	return max(250*time.Millisecond, min(p.MaxAge/4, 10*time.Second))
}

// slowest is how long a change of the keys may be unknown to an instance that is ready.
func (p Policy) slowest() time.Duration { return 2 * p.Reload() }

// Notice is how long a key is published before it signs: the slowest instance publishes it, then the slowest cache asks again.
func (p Policy) Notice() time.Duration { return p.MaxAge + p.slowest() }

// retention is how long a retired key stays published: the slowest instance learns of its retirement, then its last token expires,
// whatever lifetime that instance gives it.
func (p Policy) retention() time.Duration { return token.MaxTTL + p.slowest() + time.Minute }

// published reports whether a key is in the key set.
func (p Policy) published(k Key, now time.Time) bool {
	return k.State != Retired || now.Before(k.StateTime.Add(p.retention()))
}

// due reports whether plan would change anything, without making a key.
func (p Policy) due(keys []Key, now time.Time) bool {
	changed, missing := p.advance(keys, now)
	if len(missing) > 0 || len(changed) != len(keys) {
		return true
	}
	for i := range keys {
		if changed[i].State != keys[i].State {
			return true
		}
	}
	return false
}

// advance moves existing keys on and returns the states for which a key has to be made.
func (p Policy) advance(keys []Key, now time.Time) (kept []Key, missing []State) {
	active, next := -1, -1
	for _, k := range keys {
		switch {
		case k.State == Retired && !now.Before(k.StateTime.Add(max(p.retention(), p.Keep))):
			continue // its last token has expired, and nobody shows it any more
		case k.State == Next && k.Algorithm != p.Algorithm:
			continue // the configuration changed; it never signed
		case k.State == Active:
			active = len(kept)
		case k.State == Next:
			next = len(kept)
		}
		kept = append(kept, k)
	}
	if active < 0 {
		missing = append(missing, Active) // the first start: nobody has a token or a cache yet
	}
	if active >= 0 && next >= 0 && p.succeeds(kept[active], kept[next], now) {
		kept[active].State, kept[active].StateTime = Retired, now
		kept[next].State, kept[next].StateTime = Active, now
		next = -1
	}
	if next < 0 {
		missing = append(missing, Next)
	}
	return kept, missing
}

// succeeds reports whether next takes over now: every cache knows it, and the active key is due or of another algorithm than configured.
func (p Policy) succeeds(active, next Key, now time.Time) bool {
	known := !now.Before(next.StateTime.Add(p.Notice()))
	due := !now.Before(active.StateTime.Add(p.Interval))
	return known && (due || active.Algorithm != p.Algorithm)
}
