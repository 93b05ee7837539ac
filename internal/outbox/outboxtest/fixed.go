package outboxtest

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/client/audit"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/internal/refusals"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
)

// Now is the time of everything that a fixed outbox writes.
func Now() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 678901234, time.UTC) }

// IDs returns a function that counts UUIDs of a version up from 1.
func IDs(version int) func() string {
	var n atomic.Int64
	return func() string { return fmt.Sprintf("00000000-0000-%d000-8000-%012d", version, n.Add(1)) }
}

// Salts is a reader of the same byte for ever.
type Salts struct{}

// Read implements io.Reader.
func (Salts) Read(p []byte) (int, error) { return copy(p, bytes.Repeat([]byte{7}, len(p))), nil }

// Fixed returns an outbox over the tables of a schema that writes the same bytes each time.
func Fixed(t testing.TB, pool *pgxpool.Pool, schema string) *outbox.Outbox {
	t.Helper()
	o, err := outbox.New(outbox.Params{
		Pool: pool, Schema: schema, Source: schema, NewID: IDs(7), Random: Salts{}, Now: Now, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// Recorder is what records refusals in an outbox.
type Recorder interface {
	Refused(ctx context.Context, e event.Event, account, key string) error
	FlushRefusals(ctx context.Context) error
}

// Refusals returns what records refusals in the outbox.
func Refusals(_ testing.TB, o *outbox.Outbox) Recorder { return recorder{refusals.New(o)} }

type recorder struct{ *refusals.Recorder }

// FlushRefusals makes the events of the minutes that are over.
func (r recorder) FlushRefusals(ctx context.Context) error { return r.Flush(ctx) }

// Rows returns the rows of an outbox as text, byte for byte, in their order.
func Rows(t testing.TB, pool *pgxpool.Pool, schema string) string {
	t.Helper()
	rows, err := pool.Query(t.Context(), `select id::text, topic, key, payload from `+pgx.Identifier{schema, "outbox"}.Sanitize()+` order by position`)
	if err != nil {
		t.Fatal(err)
	}
	messages, err := pgx.CollectRows(rows, pgx.RowToStructByName[outbox.Message])
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, m := range messages {
		fmt.Fprintf(&b, "%s %s %s\n%s", m.Topic, m.ID, m.Key, Payload(t, m.Topic, m.Payload))
	}
	return b.String()
}

// Payload returns the payload of a topic as text.
func Payload(t testing.TB, topic string, payload []byte) string {
	t.Helper()
	if topic != audit.Topic {
		return fmt.Sprintf("  %s\n", payload)
	}
	sealed, err := event.UnmarshalSealed(payload)
	if err != nil {
		t.Fatal(err)
	}
	if err := event.Verify(sealed); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(event.MarshalSealed(sealed), payload) {
		t.Errorf("the payload has another form: %x", payload)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "  %s\n", sealed.Canonical)
	for _, p := range sealed.Personal {
		fmt.Fprintf(&b, "  %s %s %s\n", base64.RawURLEncoding.EncodeToString(p.Salt), p.Field, p.Value)
	}
	return b.String()
}

// CheckAudited fails the test unless the outbox has an event of each audited method of a program.
func CheckAudited(t testing.TB, pool *pgxpool.Pool, program string) {
	t.Helper()
	linked := meshtest.Contract(t)
	var seen []string
	for _, e := range Events(t, pool, program) {
		seen = append(seen, e.Method)
	}
	audited := 0
	for _, m := range linked.Methods() {
		if m.Program != program || m.Audit.Action == "" {
			continue
		}
		audited++
		if !slices.Contains(seen, strings.TrimPrefix(m.FullName, "/")) {
			t.Errorf("no event of %s is compared", m.FullName)
		}
	}
	if audited == 0 {
		t.Errorf("the contract of %s audits nothing", program)
	}
}
