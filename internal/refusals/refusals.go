// Package refusals records refusals through a service's outbox: the first of its kind within a
// minute at once, the others of that minute as one event with their count (R66, R90).
//
// A refusal is a denial (the outcome "denied": somebody known lacks the right) or a failure (the
// outcome "failure": a sign-in that does not succeed, for one).
//
// It owns the table refusals of outbox.sql. Wiring imports it; the gRPC server sees it as
// auditing.Refusals.
package refusals

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/client/audit"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/outbox"
)

const (
	maxKey = 200 // bytes, of an account or a key
	// settled is how long after its end a minute is still counted by an instance whose clock is
	// behind.
	settled     = 10 * time.Second
	flushAtOnce = 500
	refuseLimit = 5 * time.Second // of one write of refusals
)

// kind is what refusals are told apart by.
type kind struct {
	minute                      time.Time
	action, method, reason, key string
}

func (k kind) compare(other kind) int {
	if c := k.minute.Compare(other.minute); c != 0 {
		return c
	}
	return slices.Compare([]string{k.action, k.method, k.reason, k.key}, []string{other.action, other.method, other.reason, other.key})
}

// refused is what is known of one kind: how often, and what all of them have in common.
type refused struct {
	count  int64
	last   time.Time
	common common
	first  outbox.Message // the event of the first
}

// group is what one transaction writes: all refusals that came while the one before was written.
type group struct {
	kinds map[kind]*refused
	done  chan struct{}
	err   error
}

// Recorder records refusals. Concurrent ones are grouped, so that a flood of them costs the
// database one transaction at a time. Safe for concurrent use.
type Recorder struct {
	outbox        *outbox.Outbox
	refuse, flush string // statements

	mu      sync.Mutex
	next    *group
	writing bool

	budgets budgets
}

// New returns a recorder over the tables of an outbox.
func New(o *outbox.Outbox) *Recorder {
	in := func(sql string) string { return strings.ReplaceAll(sql, "{schema}", o.Schema) }
	return &Recorder{outbox: o, refuse: in(refuseSQL), flush: in(flushSQL)}
}

// Refused records a denial or a failure. The first of an action, method, reason, account and key
// within a minute is an event at once; the others of that minute are counted, durably, and make one
// event with their count and what they have in common after it. account is the existing account or
// program that it is about, or that was refused; it is empty when nobody known is. What is told
// apart is bounded (budget.go). When it returns nil the refusal will not be lost; it comes with a
// transaction of its own, which a canceled context does not stop.
func (r *Recorder) Refused(ctx context.Context, e event.Event, account, key string) error {
	if e.Time.IsZero() {
		e.Time = r.outbox.Now()
	}
	e = e.Clean()
	first, err := audit.Seal(r.outbox, e)
	if err != nil {
		return err
	}
	g := r.join(e, outbox.Cut(account, maxKey), outbox.Cut(key, maxKey), first)
	select {
	case <-g.done:
		return g.err
	case <-ctx.Done():
		return fmt.Errorf("record refusal: %w", ctx.Err())
	}
}

// join adds a refusal to the next group and sees to it that somebody writes it.
func (r *Recorder) join(e event.Event, account, key string, first outbox.Message) *group {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := kind{minute: e.Time.Truncate(time.Minute), action: e.Action, method: e.Method, reason: e.Reason}
	k.key = r.budgets.key(k.minute, k.action, account, key)
	if r.next == nil {
		r.next = &group{kinds: map[kind]*refused{}, done: make(chan struct{})}
	}
	c := commonOf(e)
	if known := r.next.kinds[k]; known == nil {
		r.next.kinds[k] = &refused{count: 1, last: e.Time, common: c, first: first}
	} else {
		known.count++
		known.common = known.common.and(c)
		if e.Time.After(known.last) {
			known.last = e.Time
		}
	}
	if !r.writing {
		r.writing = true
		go r.writeGroups()
	}
	return r.next
}

// writeGroups writes until no refusal waits.
func (r *Recorder) writeGroups() {
	for {
		r.mu.Lock()
		g := r.next
		r.next = nil
		r.writing = g != nil
		r.mu.Unlock()
		if g == nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), refuseLimit)
		g.err = r.writeGroup(ctx, g)
		cancel()
		close(g.done)
	}
}

// The row of a kind counts those that made no event yet: all but the first.
const refuseSQL = `
	insert into {schema}.refusals (minute, action, method, reason, key, count, last_time, common)
	select minute, action, method, reason, key, count - 1, last_time, common::jsonb
	from unnest(@minutes::timestamptz[], @actions::text[], @methods::text[], @reasons::text[], @keys::text[], @counts::bigint[],
		@last_times::timestamptz[], @commons::text[]) as r (minute, action, method, reason, key, count, last_time, common)
	on conflict (minute, action, method, reason, key) do update set
		count = refusals.count + excluded.count + 1,
		last_time = greatest(refusals.last_time, excluded.last_time),
		common = coalesce((select jsonb_object_agg(mine.key, mine.value) from jsonb_each(refusals.common) as mine
			where excluded.common -> mine.key = mine.value), '{}')
	returning minute, action, method, reason, key, xmax = 0 as first`

func (r *Recorder) writeGroup(ctx context.Context, g *group) error {
	kinds := make([]kind, 0, len(g.kinds))
	for k := range g.kinds {
		kinds = append(kinds, k)
	}
	slices.SortFunc(kinds, kind.compare) // two instances lock rows in one order
	n := len(kinds)
	minutes, lasts, counts := make([]time.Time, n), make([]time.Time, n), make([]int64, n)
	actions, methods, reasons, keys, commons := make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	for i, k := range kinds {
		of := g.kinds[k]
		text, err := json.Marshal(of.common)
		if err != nil {
			return fmt.Errorf("record refusals: %w", err)
		}
		minutes[i], actions[i], methods[i], reasons[i], keys[i] = k.minute, k.action, k.method, k.reason, k.key
		counts[i], lasts[i], commons[i] = of.count, of.last, string(text)
	}
	err := r.outbox.InTx(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, r.refuse, pgx.StrictNamedArgs{
			"minutes": minutes, "actions": actions, "methods": methods, "reasons": reasons, "keys": keys, "counts": counts,
			"last_times": lasts, "commons": commons,
		})
		if err != nil {
			return err
		}
		var firsts []outbox.Message
		var k kind
		var first bool
		_, err = pgx.ForEachRow(rows, []any{&k.minute, &k.action, &k.method, &k.reason, &k.key, &first}, func() error {
			if first {
				k.minute = k.minute.UTC()
				firsts = append(firsts, g.kinds[k].first)
			}
			return nil
		})
		if err != nil {
			return err
		}
		return r.outbox.Append(ctx, tx, firsts...)
	})
	if err != nil {
		return fmt.Errorf("record refusals: %w", err)
	}
	return nil
}

const flushSQL = `
	delete from {schema}.refusals where ctid in (
		select ctid from {schema}.refusals where minute < @before order by minute limit @most for update skip locked)
	returning action, method, reason, count, last_time, common::text`

// Flush makes the events of the minutes that are over. The relay calls it every few seconds.
func (r *Recorder) Flush(ctx context.Context) error {
	for {
		n, err := r.flushSome(ctx)
		if err != nil {
			return fmt.Errorf("make the events of repeated refusals: %w", err)
		}
		if n < flushAtOnce {
			return nil
		}
	}
}

func (r *Recorder) flushSome(ctx context.Context) (n int, err error) {
	err = r.outbox.InTx(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, r.flush, pgx.StrictNamedArgs{
			"before": r.outbox.Now().Add(-settled).Add(-time.Minute), "most": flushAtOnce,
		})
		if err != nil {
			return err
		}
		var messages []outbox.Message
		var k kind
		var count int64
		var last time.Time
		var text string
		_, err = pgx.ForEachRow(rows, []any{&k.action, &k.method, &k.reason, &count, &last, &text}, func() error {
			n++
			if count == 0 {
				return nil
			}
			var c common
			if err := json.Unmarshal([]byte(text), &c); err != nil {
				return err
			}
			e := c.event()
			e.Action, e.Method, e.Reason, e.Count, e.Time = k.action, k.method, k.reason, count, last
			m, err := audit.Seal(r.outbox, e)
			messages = append(messages, m)
			return err
		})
		if err != nil {
			return err
		}
		return r.outbox.Append(ctx, tx, messages...)
	})
	return n, err
}
