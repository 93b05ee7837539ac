//go:build gatehouse_outbox_off

package outbox_test

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/outbox"
)

// The naive version delivers what is committed, and nothing of it is stored: a crash in between loses it.
func TestNaiveVersionStoresNothing(t *testing.T) {
	pool, o := open(t)
	add(t, o, "letters", "a", "b")
	broken := errors.New("broken")
	err := o.InTx(t.Context(), func(tx pgx.Tx) error {
		if err := o.Append(t.Context(), tx, messages("letters", "rolled back")...); err != nil {
			return err
		}
		return broken
	})
	if !errors.Is(err, broken) {
		t.Fatal(err)
	}
	var n int
	if err := pool.QueryRow(t.Context(), `select count(*) from boxes.outbox`).Scan(&n); err != nil || n != 0 {
		t.Fatalf("%d rows are stored, %v", n, err)
	}
	r := newReceiver()
	run(t, o, nil, outbox.Route{Topic: "letters", Deliver: r.deliver})
	add(t, o, "letters", "c")
	r.has(t, "a", "b", "c")
	if len(r.got()) != 3 {
		t.Errorf("%q arrived", r.got())
	}
}
