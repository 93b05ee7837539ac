package mail

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/gatehouse/gatehouse/internal/loop"
)

// Times of the delivery.
const (
	atATime      = 4 // mails, and so connections to the server
	sendTimeout  = 30 * time.Second
	stopGrace    = 5 * time.Second // that a stop leaves an attempt
	lookEvery    = time.Second
	measureEvery = 15 * time.Second
	queryTimeout = 5 * time.Second

	firstPause, longestPause = 5 * time.Second, 5 * time.Minute
)

// CourierParams are what a Courier is made of.
type CourierParams struct {
	Store   Store
	Sender  Sender
	Sealer  *Sealer
	Metrics Metrics
	Now     func() time.Time
	Log     *slog.Logger
}

// Courier brings mails from the queue to whoever delivers them, beside the requests. Any number of
// instances share a queue.
type Courier struct {
	CourierParams
	wake     chan struct{}
	within   time.Duration // that an attempt has: sendTimeout
	grace    time.Duration // that a stop leaves it: stopGrace
	query    time.Duration // that a look at the queue has: queryTimeout
	trouble  loop.Trouble
	measured time.Time
}

// NewCourier returns a courier that does nothing until Run.
func NewCourier(p CourierParams) *Courier {
	return &Courier{CourierParams: p, wake: make(chan struct{}, 1), within: sendTimeout, grace: stopGrace, query: queryTimeout}
}

// Wake says that there may be a mail. It never blocks; nil has nothing to do.
func (c *Courier) Wake() {
	if c == nil {
		return
	}
	select {
	case c.wake <- struct{}{}:
	default: // a wake is waiting already
	}
}

// Run delivers until ctx ends. Attempts that are being made then have a moment to end.
func (c *Courier) Run(ctx context.Context) {
	loop.Run(ctx, c.wake, func(ctx context.Context) time.Duration {
		n, err := c.turn(ctx)
		switch began, over := c.trouble.Note(err); {
		case ctx.Err() != nil:
		case began:
			c.Log.WarnContext(ctx, "the queue of mails cannot be read", "error", err.Error())
		case over:
			c.Log.InfoContext(ctx, "the queue of mails can be read again")
		}
		if err == nil && n == atATime {
			return 0
		}
		return lookEvery
	})
}

// turn sends what is due, as many as may be sent at a time.
func (c *Courier) turn(ctx context.Context) (n int, err error) {
	query, cancel := context.WithTimeout(ctx, c.query)
	defer cancel()
	now := c.Now()
	if now.Sub(c.measured) >= measureEvery {
		standing, err := c.Store.Standing(query)
		if err != nil {
			return 0, err
		}
		c.Metrics.Standing(standing, now)
		c.measured = now
	}
	claimed, err := c.Store.Claim(query, now, now.Add(Lease), atATime)
	if err != nil {
		return 0, err
	}
	var wg sync.WaitGroup
	for _, one := range claimed {
		wg.Go(func() { c.deliver(ctx, one) })
	}
	wg.Wait()
	return len(claimed), nil
}

// deliver makes one attempt and records what became of it. A mail to nobody is done with.
func (c *Courier) deliver(ctx context.Context, one Claimed) {
	if one.Kind == Nobody {
		if err := c.Store.Sent(ctx, one.ID); err != nil { // another one drops it after the lease
			c.Log.WarnContext(ctx, "a mail to nobody is not dropped yet", "mail", one.ID, "error", err.Error())
		}
		return
	}
	l, byPrevious, err := c.Sealer.open(one.ID, one.Sealed)
	if err == nil {
		err = c.send(ctx, one, l)
	}
	ctx = context.WithoutCancel(ctx)
	log := c.Log.With("mail", one.ID, "kind", string(one.Kind), "attempt", one.Attempt)
	outcome := Sent
	switch {
	case err == nil:
		log.InfoContext(ctx, "mail sent")
		err = c.record(ctx, func(ctx context.Context) error { return c.Store.Sent(ctx, one.ID) })
	case refusal(err):
		outcome = Parked
		log.WarnContext(ctx, "mail refused for good", "reason", err.Error())
		reason := err.Error()
		err = c.record(ctx, func(ctx context.Context) error { return c.Store.Park(ctx, one, c.Now(), reason) })
	default:
		outcome = Retried
		log.WarnContext(ctx, "mail not sent yet", "reason", err.Error())
		err = c.retry(ctx, one, l, byPrevious, err)
	}
	c.Metrics.Count(outcome)
	if err != nil {
		log.ErrorContext(ctx, "what became of a mail is not recorded", "outcome", string(outcome), "error", err.Error())
	}
}

// retry says when the next attempt is. What the previous key has sealed, when nobody needs that any
// more, is sealed anew.
func (c *Courier) retry(ctx context.Context, one Claimed, l Letter, byPrevious bool, cause error) error {
	var sealed []byte
	if byPrevious && !c.Sealer.before() {
		var err error
		if sealed, err = c.Sealer.seal(one.ID, l); err != nil {
			return err
		}
	}
	return c.record(ctx, func(ctx context.Context) error {
		return c.Store.Retry(ctx, one, c.Now().Add(pause(one.Attempt)), cause.Error(), sealed)
	})
}

// send makes the attempt within its time, which outlasts the end of ctx by a moment only.
func (c *Courier) send(ctx context.Context, one Claimed, l Letter) error {
	attempt, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.within)
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		grace := time.NewTimer(c.grace)
		defer grace.Stop()
		select {
		case <-grace.C:
			cancel()
		case <-attempt.Done():
		}
	})
	defer stop()
	err := c.Sender.Send(attempt, Envelope{ID: one.ID, CreateTime: one.CreateTime}, l)
	if err != nil && !refusal(err) && attempt.Err() != nil {
		return errors.New("the mail server did not answer in time")
	}
	return err
}

// recordTries is how often an outcome is tried to be recorded: the lease outlasts them all.
const recordTries = 5

func (c *Courier) record(ctx context.Context, do func(context.Context) error) (err error) {
	for try := range recordTries {
		query, cancel := context.WithTimeout(ctx, c.query)
		err = do(query)
		cancel()
		if err == nil {
			return nil
		}
		if try < recordTries-1 {
			<-time.After(time.Second << try / 4)
		}
	}
	return err
}

// pause is the time after a failed attempt: it doubles, and is random in part, so that what failed
// together is not tried together.
func pause(attempt int) time.Duration {
	most := longestPause
	if attempt < 7 {
		most = min(most, firstPause<<(attempt-1))
	}
	return most/2 + rand.N(most/2) //nolint:gosec // jitter needs no secrecy
}

// Clean deletes what expired, and what is old.
func (c *Courier) Clean(ctx context.Context) error {
	now := c.Now()
	expired, err := c.Store.Clean(ctx, now, now.Add(-keepParked), now.Add(-Window))
	for _, kind := range expired {
		c.Metrics.Count(Expired)
		c.Log.WarnContext(ctx, "a mail expired before it was accepted", "kind", string(kind))
	}
	return err
}
