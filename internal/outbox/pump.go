package outbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	maxBatch     = 500
	maxBytes     = 2 << 20
	deliverLimit = time.Minute // of one batch; the receiver's own deadlines are shorter
	firstPause   = 100 * time.Millisecond
	longestPause = 5 * time.Second
	maxReason    = 500
)

// readSQL reads the oldest rows, as many as fit, and one in any case. Positions are given when a row is inserted and seen when it is
// committed: a row may appear below one that is gone already.
const readSQL = `
	select position, id::text, topic, key, payload from (
		select position, id, topic, key, payload, sum(octet_length(payload)) over (order by position) as total,
			row_number() over (order by position) as place
		from (
			select position, id, topic, key, payload from {schema}.outbox
			where topic = @topic and park_time is null
			order by position limit @most) as oldest) as summed
	where total <= @bytes or place = 1
	order by position`

const removeSQL = `delete from {schema}.outbox where topic = @topic and position = any(@positions)`

const parkSQL = `
	update {schema}.outbox set park_time = now(), park_reason = @reason
	where topic = @topic and position = @position`

// row is a message and where it stands.
type row struct {
	position int64
	Message
}

// result is what became of a batch.
type result struct {
	delivered []int64
	parked    map[int64]string // reason by position
}

// pump delivers one topic until the context ends: it drains, then waits for a wake or the poll.
// While it gathers, what was delivered is not removed yet: that is done with the next read.
func (r *Relay) pump(ctx context.Context, route Route, wake <-chan struct{}) {
	var failing bool
	var done result
	wait, most := firstPause, maxBatch
	for ctx.Err() == nil {
		batch, err := r.settleAndFetch(ctx, route.Topic, done, most)
		done = result{} // when that failed the rows come again
		if ctx.Err() == nil {
			r.standing.note("topic "+route.Topic+" cannot be read", err)
		}
		if err == nil {
			if len(batch) == 0 {
				logTurn(ctx, r.Log, &failing, nil, "topic", route.Topic)
				wait = firstPause
				pause(ctx, poll, wake)
				continue
			}
			full := len(batch) == most
			done, err = r.deliver(ctx, route, batch, &most)
			if err == nil && !full && route.Gather != nil {
				route.Gather(ctx)
			}
		}
		if ctx.Err() != nil {
			break
		}
		if err == nil || errors.Is(err, ErrRefused) { // a refused batch comes again at once, and smaller
			wait = firstPause
			continue
		}
		logTurn(ctx, r.Log, &failing, err, "topic", route.Topic)
		pause(ctx, wait, nil)
		wait = min(2*wait, longestPause)
	}
	if len(done.delivered) > 0 || len(done.parked) > 0 { // what arrived while the program stops need not come again
		r.settleLast(ctx, route.Topic, done)
	}
}

func (r *Relay) settleLast(ctx context.Context, topic string, done result) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := r.settle(ctx, topic, done); err != nil {
		r.Log.WarnContext(ctx, "delivered messages stay in the outbox and will be delivered again", "topic", topic, "error", err.Error())
	}
}

// settleAndFetch removes and parks what the batch before it came to, and reads the next batch, in
// one round trip and transaction.
func (r *Relay) settleAndFetch(ctx context.Context, topic string, done result, most int) ([]row, error) {
	ctx, cancel := context.WithTimeout(ctx, queryLimit)
	defer cancel()
	work := r.settling(topic, done)
	var batch []row
	work.Queue(r.sql.read, pgx.StrictNamedArgs{"topic": topic, "most": most, "bytes": maxBytes}).Query(func(rows pgx.Rows) error {
		var err error
		batch, err = pgx.CollectRows(rows, func(c pgx.CollectableRow) (m row, err error) {
			return m, c.Scan(&m.position, &m.ID, &m.Topic, &m.Key, &m.Payload)
		})
		return err
	})
	if err := r.Pool.SendBatch(ctx, work).Close(); err != nil {
		return nil, fmt.Errorf("read the outbox: %w", err)
	}
	return batch, nil
}

func (r *Relay) settle(ctx context.Context, topic string, done result) error {
	if len(done.delivered) == 0 && len(done.parked) == 0 {
		return nil
	}
	if err := r.Pool.SendBatch(ctx, r.settling(topic, done)).Close(); err != nil {
		return fmt.Errorf("remove what was delivered: %w", err)
	}
	return nil
}

// settling removes exactly what was delivered, never "everything up to": what is not seen yet may stand in between.
func (r *Relay) settling(topic string, done result) *pgx.Batch {
	work := &pgx.Batch{}
	if len(done.delivered) > 0 {
		work.Queue(r.sql.remove, pgx.StrictNamedArgs{"topic": topic, "positions": done.delivered})
	}
	for position, reason := range done.parked {
		work.Queue(r.sql.park, pgx.StrictNamedArgs{"topic": topic, "position": position, "reason": reason})
	}
	return work
}

// deliver hands the batch over. With an error the result still has the poison, which need not come again.
func (r *Relay) deliver(ctx context.Context, route Route, batch []row, most *int) (result, error) {
	messages := make([]Message, len(batch))
	for i, m := range batch {
		messages[i] = m.Message
	}
	limited, cancel := context.WithTimeout(ctx, deliverLimit)
	defer cancel()
	poison, err := route.Deliver(limited, messages)
	switch {
	case err == nil:
		*most = min(2**most, maxBatch)
	case len(batch) > 1: // the receiver may not take so many in its time, or not one of them
		*most = len(batch) / 2
	case errors.Is(err, ErrRefused):
		poison = []Poison{{ID: batch[0].ID, Reason: err.Error()}}
	}
	done := result{parked: map[int64]string{}}
	for _, p := range poison {
		if !slices.ContainsFunc(batch, func(m row) bool { return m.ID == p.ID }) {
			return result{}, fmt.Errorf("deliver %s: the receiver refuses the message %s, which it was not given", route.Topic, p.ID)
		}
		r.Log.ErrorContext(ctx, "a message of the outbox will never be accepted and is parked",
			"topic", route.Topic, "id", p.ID, "schema", r.Schema, "reason", p.Reason)
		r.metrics.poison(route.Topic)
	}
	delivered := 0
	for _, m := range batch {
		i := slices.IndexFunc(poison, func(p Poison) bool { return p.ID == m.ID })
		switch {
		case i >= 0:
			done.parked[m.position] = Cut(poison[i].Reason, maxReason)
		case err == nil:
			done.delivered = append(done.delivered, m.position)
			delivered++
		}
	}
	r.metrics.deliver(route.Topic, delivered)
	if err != nil {
		err = fmt.Errorf("deliver %s: %w", route.Topic, err)
	}
	return done, err
}
