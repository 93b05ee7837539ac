package outbox_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/client/audit"
	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/internal/outbox/outboxtest"
)

// What an event costs its transaction: one row alone, and the same row with its event.
func BenchmarkRecord(b *testing.B) {
	for _, events := range []int{0, 1} {
		b.Run(fmt.Sprintf("events=%d", events), func(b *testing.B) {
			_, o := open(b)
			ctx := b.Context()
			b.SetParallelism(4)
			b.ResetTimer()
			b.RunParallel(func(work *testing.PB) {
				for work.Next() {
					err := o.InTx(ctx, func(tx pgx.Tx) error {
						id := outboxtest.NewID()
						if _, err := tx.Exec(ctx, `insert into boxes.things (id, revision) values (@id, 1)`, pgx.StrictNamedArgs{"id": id}); err != nil {
							return err
						}
						if events == 0 {
							return nil
						}
						return audit.Record(ctx, o, tx, outboxtest.Event(schema, "thing.created", "thing", id))
					})
					if err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// Rows a second that one relay reads, hands over and removes, 500 at a time.
func BenchmarkRelay(b *testing.B) {
	_, o := open(b)
	ctx := b.Context()
	row, err := audit.Seal(o, outboxtest.Event(schema, "thing.created", "thing", "thing-1"))
	if err != nil {
		b.Fatal(err)
	}
	for left := b.N; left > 0; left -= 1000 {
		batch := make([]outbox.Message, min(left, 1000))
		for i := range batch {
			batch[i] = row
		}
		if err := o.InTx(ctx, func(tx pgx.Tx) error { return o.Append(ctx, tx, batch...) }); err != nil {
			b.Fatal(err)
		}
	}
	var delivered atomic.Int64
	all := make(chan struct{})
	b.ResetTimer()
	run(b, o, nil, outbox.Route{Topic: audit.Topic, Deliver: func(_ context.Context, batch []outbox.Message) ([]outbox.Poison, error) {
		if delivered.Add(int64(len(batch))) == int64(b.N) {
			close(all)
		}
		return nil, nil
	}})
	<-all
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
