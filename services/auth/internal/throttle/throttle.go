// Package throttle slows guessing down: it counts how often somebody was tried to be proven in vain,
// and says whether one more attempt may succeed.
//
// Each account has a counter for each factor, an address that nobody has like one that is somebody's
// (R7, R10). A device with which a person has signed in before has a counter of its own, so that the
// failures of strangers keep nobody out who comes with it (R8). All failures of the platform together
// have a budget: while it is exceeded, only known devices, and addresses from which nothing failed of
// late, may succeed (R9). What is refused here is answered like a wrong password, after the same work.
package throttle

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/gatehouse/gatehouse/internal/ratelimit"
)

// Counters of accounts and devices [P]: after the last of the free failures each attempt has to wait
// for twice as long as the one before. An attempt that should have waited is not counted, so that the
// wait ends however many there are.
const (
	FreeFailures = 10
	FirstWait    = 30 * time.Second
	LongestWait  = 15 * time.Minute
	memory       = 24 * time.Hour // of a counter, since its last failure
)

// The platform's budget is of failures in one window; it is exceeded until a whole window later.
const (
	window        = 5 * time.Minute
	addressMemory = time.Hour // how long an address is one from which something failed
)

// Bounds of what is stored. Beyond, the oldest counters are forgotten; a flood of sign-ins that are
// bounded by their hashes takes hours to get there.
const (
	maxCounters  = 1_000_000
	deviceMemory = 180 * 24 * time.Hour
)

// Purpose is for what the key of a Guard is derived.
const Purpose = "gatehouse auth throttle"

// Attempt is one attempt to prove somebody, whose outcome is known.
type Attempt struct {
	Factor  string // what is proven, such as "password"
	Account string // whose, in one form: an address, or a user's id
	Device  string // what the cookie of the device holds; "" for none
	Address string // of the client
	UserID  string // who was proven; "" when nobody was
}

// Key is the name of a counter.
type Key [16]byte

// Outcome is an attempt as a store judges it.
type Outcome struct {
	ID                       string // of the attempt, a random UUID
	Account, Device, Address Key
	Windows                  [2]Key // of the platform, this and the one before
	Budget                   int
	UserID                   string // who was proven; "" when nobody was
	Remember                 bool   // the device, if somebody was proven
	Now                      time.Time
	Forgotten                time.Time // when the last failure of a counter is before this, it begins anew
	AddressForgotten         time.Time
}

// Verdict is what became of an attempt.
type Verdict struct {
	Admitted bool // it need not have waited
	Exceeded bool // the platform's budget, for this attempt
}

// Store keeps counters.
type Store interface {
	// Settle judges an attempt by the failures that were settled before it, on the counter of its device if that is known, else on
	// that of its account; counts it if it has failed; and forgets the counter and remembers the device if it has succeeded and was
	// admitted. It is one statement, whatever comes of it.
	Settle(ctx context.Context, o Outcome) (Verdict, error)
	// Forget forgets a counter.
	Forget(ctx context.Context, counter Key) error
	// Clean forgets counters and devices that were not touched since, and the oldest counters beyond most.
	Clean(ctx context.Context, counters, devices time.Time, most int) error
}

// Params are the collaborators of a Guard.
type Params struct {
	Store     Store
	Secret    []byte // of the keyed hashes; with another one all is forgotten
	Budget    int    // of the platform's failures in five minutes
	NewID     func() string
	Now       func() time.Time
	Throttled func(by string) // is told of each attempt that was not admitted, by "counter" or "budget"
}

// Guard counts failures and says who has to wait.
type Guard struct{ Params }

// New returns a guard over its collaborators.
func New(p Params) *Guard { return &Guard{p} }

// Settle reports whether an attempt, which was made in any case, counts as the success that it may
// be: of many at the same moment no more do than one after the other. Who made it must be told of a
// failure if it does not.
func (g *Guard) Settle(ctx context.Context, a Attempt) (succeeded bool, err error) {
	now := g.Now()
	v, err := g.Store.Settle(ctx, Outcome{
		ID: g.NewID(), Account: g.key("account", a.Factor, a.Account), Device: g.key("device", a.Factor, a.Device, a.Account),
		Address: g.key("address", Network(a.Address)), Windows: [2]Key{g.window(now), g.window(now.Add(-window))}, Budget: g.Budget,
		UserID: a.UserID, Remember: a.Device != "",
		Now: now, Forgotten: now.Add(-memory), AddressForgotten: now.Add(-addressMemory),
	})
	if err != nil {
		return false, err
	}
	switch {
	case v.Exceeded:
		g.Throttled("budget")
	case !v.Admitted:
		g.Throttled("counter")
	}
	return v.Admitted && a.UserID != "", nil
}

// Forget forgets the failures of an account by a factor, which was proven in another way.
func (g *Guard) Forget(ctx context.Context, factor, account string) error {
	return g.Store.Forget(ctx, g.key("account", factor, account))
}

// Clean forgets what is over.
func (g *Guard) Clean(ctx context.Context) error {
	now := g.Now()
	return g.Store.Clean(ctx, now.Add(-memory), now.Add(-deviceMemory), maxCounters)
}

func (g *Guard) window(at time.Time) Key {
	return g.key("window", at.Truncate(window).UTC().Format(time.RFC3339))
}

// key is a keyed hash of parts, which cannot run into each other.
func (g *Guard) key(parts ...string) (k Key) {
	mac := hmac.New(sha256.New, g.Secret)
	for _, part := range parts {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		mac.Write(length[:])
		mac.Write([]byte(part))
	}
	copy(k[:], mac.Sum(nil))
	return k
}

// Network is what counts as one client, as the doors count; what is no address is "".
func Network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return ""
	}
	return ratelimit.Network(a)
}
