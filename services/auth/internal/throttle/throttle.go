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
)

// Counters of accounts and devices [P]: after the last of the free failures each attempt has to wait
// for twice as long as the one before. An attempt that has to wait is not counted, so that the wait
// ends however many there are.
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

// Attempt is one attempt to prove somebody.
type Attempt struct {
	Factor  string // what is proven, such as "password"
	Account string // whose, in one form: an address, or a user's id
	Device  string // what the cookie of the device holds; "" for none
	Address string // of the client

	id    string
	known bool
}

// Key is the name of a counter.
type Key [16]byte

// Question is an attempt as a store is asked for it.
type Question struct {
	ID                       string // of the attempt
	Account, Device, Address Key
	Windows                  [2]Key // of the platform, this and the one before
	Budget                   int
	Now                      time.Time
	Forgotten                time.Time // when the last failure of a counter is before this, it begins anew
	AddressForgotten         time.Time
}

// Answer is what became of an attempt.
type Answer struct {
	Admitted bool
	Known    bool // its device
	Exceeded bool // the platform's budget, for this attempt
}

// Store keeps counters. Each method is one transaction of one statement.
type Store interface {
	// Admit counts an attempt in advance on the counter of its device, if that is known, else on that of its account, and says
	// whether it may succeed. Of several at once no more are admitted than one after the other.
	Admit(ctx context.Context, q Question) (Answer, error)
	// Fail counts a failure on counters without a wait.
	Fail(ctx context.Context, keys []Key, now, forgotten time.Time) error
	// Withdraw takes an attempt back that was admitted on a counter, unless another one came after it.
	Withdraw(ctx context.Context, counter Key, id string, now time.Time) error
	// Forgive forgets a counter and knows a device of a user from now on, if one is given.
	Forgive(ctx context.Context, counter Key, device *Key, userID string, now time.Time) error
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

// Admit reports whether an attempt may succeed, and returns it for Fail and Succeed. It must be made
// in any case: what is not admitted fails, after the same work as the others.
func (g *Guard) Admit(ctx context.Context, a Attempt) (Attempt, bool, error) {
	now := g.Now()
	a.id = g.NewID()
	q := Question{
		ID: a.id, Account: g.account(a), Device: g.device(a), Address: g.address(a),
		Windows: [2]Key{g.window(now), g.window(now.Add(-window))}, Budget: g.Budget,
		Now: now, Forgotten: now.Add(-memory), AddressForgotten: now.Add(-addressMemory),
	}
	answer, err := g.Store.Admit(ctx, q)
	if err != nil {
		return a, false, err
	}
	a.known = answer.Known
	switch {
	case answer.Exceeded:
		g.Throttled("budget")
	case !answer.Admitted:
		g.Throttled("counter")
	}
	return a, answer.Admitted, nil
}

// Fail counts a failure, of an attempt that was admitted or not, on the client's address and the
// platform.
func (g *Guard) Fail(ctx context.Context, a Attempt) error {
	now := g.Now()
	return g.Store.Fail(ctx, []Key{g.address(a), g.window(now)}, now, now.Add(-memory))
}

// Withdraw takes an attempt back whose outcome nobody knows.
func (g *Guard) Withdraw(ctx context.Context, a Attempt) error {
	return g.Store.Withdraw(ctx, g.counter(a), a.id, g.Now())
}

// Succeed forgets the failures on the counter of an attempt, and knows its device from now on.
func (g *Guard) Succeed(ctx context.Context, a Attempt, userID string) error {
	if a.Device == "" {
		return g.Store.Forgive(ctx, g.counter(a), nil, userID, g.Now())
	}
	device := g.device(a)
	return g.Store.Forgive(ctx, g.counter(a), &device, userID, g.Now())
}

// Clean forgets what is over.
func (g *Guard) Clean(ctx context.Context) error {
	now := g.Now()
	return g.Store.Clean(ctx, now.Add(-memory), now.Add(-deviceMemory), maxCounters)
}

// counter is the one that an attempt was counted on.
func (g *Guard) counter(a Attempt) Key {
	if a.known {
		return g.device(a)
	}
	return g.account(a)
}

func (g *Guard) account(a Attempt) Key { return g.key("account", a.Factor, a.Account) }

func (g *Guard) device(a Attempt) Key { return g.key("device", a.Factor, a.Device, a.Account) }

func (g *Guard) address(a Attempt) Key { return g.key("address", Network(a.Address)) }

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

// Network is what one client has: its address, or the /64 of its IPv6 address. What is no address is
// "".
func Network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return ""
	}
	bits := 32
	if a = a.Unmap().WithZone(""); a.Is6() {
		bits = 64
	}
	return netip.PrefixFrom(a, bits).Masked().String()
}
