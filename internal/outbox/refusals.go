package outbox

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/event"
)

const (
	maxKey = 200 // bytes, of an account or a key
	// settled is how long after its end a minute is still counted by an instance whose clock is behind.
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
	first  Message // the event of the first
}

// group is what one transaction writes: all refusals that came while the one before was written.
type group struct {
	kinds map[kind]*refused
	done  chan struct{}
	err   error
}

// refusals groups concurrent refusals, so that a flood of them costs the database one transaction at a time.
type refusals struct {
	mu      sync.Mutex
	next    *group
	writing bool

	budgets budgets
}

// Refused records a denial or a failure. The first of an action, method, reason, account and key
// within a minute is an event at once; the others of that minute are counted, durably, and make one
// event with their count and what they have in common after it. account is the existing account or
// program that it is about, or that was refused; it is empty when nobody known is. What is told
// apart is bounded (budget.go). When it returns nil the refusal will not be lost; it comes with a
// transaction of its own, which a canceled context does not stop.
func (o *Outbox) Refused(ctx context.Context, e event.Event, account, key string) error {
	if e.Time.IsZero() {
		e.Time = o.Now()
	}
	e = e.Clean()
	first, err := o.message(e)
	if err != nil {
		return err
	}
	g := o.join(e, keyText(account), keyText(key), first)
	select {
	case <-g.done:
		return g.err
	case <-ctx.Done():
		return fmt.Errorf("record refusal: %w", ctx.Err())
	}
}

// keyText returns what may stand in a key.
func keyText(s string) string {
	if len(s) > maxKey {
		s = s[:maxKey]
	}
	return strings.Map(printable, s)
}

// join adds a refusal to the next group and sees to it that somebody writes it.
func (o *Outbox) join(e event.Event, account, key string, first Message) *group {
	r := &o.refusals
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
		go o.writeGroups()
	}
	return r.next
}

// writeGroups writes until no refusal waits.
func (o *Outbox) writeGroups() {
	r := &o.refusals
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
		g.err = o.writeGroup(ctx, g)
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

func (o *Outbox) writeGroup(ctx context.Context, g *group) error {
	kinds := make([]kind, 0, len(g.kinds))
	for k := range g.kinds {
		kinds = append(kinds, k)
	}
	slices.SortFunc(kinds, kind.compare) // two instances lock rows in one order
	n := len(kinds)
	minutes, lasts, counts := make([]time.Time, n), make([]time.Time, n), make([]int64, n)
	actions, methods, reasons, keys, commons := make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	for i, k := range kinds {
		r := g.kinds[k]
		text, err := json.Marshal(r.common)
		if err != nil {
			return fmt.Errorf("record refusals: %w", err)
		}
		minutes[i], actions[i], methods[i], reasons[i], keys[i] = k.minute, k.action, k.method, k.reason, k.key
		counts[i], lasts[i], commons[i] = r.count, r.last, string(text)
	}
	err := o.InTx(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, o.sql.refuse, pgx.StrictNamedArgs{
			"minutes": minutes, "actions": actions, "methods": methods, "reasons": reasons, "keys": keys, "counts": counts,
			"last_times": lasts, "commons": commons,
		})
		if err != nil {
			return err
		}
		var firsts []Message
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
		return o.Append(ctx, tx, firsts...)
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

// FlushRefusals makes the events of the minutes that are over. The relay calls it every few seconds.
func (o *Outbox) FlushRefusals(ctx context.Context) error {
	for {
		n, err := o.flushSome(ctx)
		if err != nil {
			return fmt.Errorf("make the events of repeated refusals: %w", err)
		}
		if n < flushAtOnce {
			return nil
		}
	}
}

func (o *Outbox) flushSome(ctx context.Context) (n int, err error) {
	err = o.InTx(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, o.sql.flush, pgx.StrictNamedArgs{
			"before": o.Now().Add(-settled).Add(-time.Minute), "most": flushAtOnce,
		})
		if err != nil {
			return err
		}
		var messages []Message
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
			m, err := o.message(e)
			messages = append(messages, m)
			return err
		})
		if err != nil {
			return err
		}
		return o.Append(ctx, tx, messages...)
	})
	return n, err
}

func printable(r rune) rune {
	if r < ' ' || r == utf8.RuneError {
		return -1
	}
	return r
}
