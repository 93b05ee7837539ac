package bench_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/database"
	"github.com/gatehouse/gatehouse/internal/pg/pgserver"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/platform"
)

// trailDatabase is a migrated database of Audit.
type trailDatabase struct {
	serving config.Secret
	super   config.Secret
	conn    *pgx.Conn // of the superuser
	last    int64     // position of the newest event that was taken out
	served  bool      // by a program that brings in names and grows the log
}

func trail(b *testing.B, p *platform.Platform, server *pgserver.Server, name string) *trailDatabase {
	b.Helper()
	owner, secret := freshDatabase(b, server, name, "audit_owner", "audit"), config.NewSecret("bench")
	check.NoError(b, database.EnsureServingRole(b.Context(), server.SuperURL(name), "audit", secret, "audit", "audit_owner"))
	migrate(b, p, "audit", owner)
	super := server.SuperURL(name)
	return &trailDatabase{serving: server.URL("audit", secret, name), super: super, conn: connect(b, super)}
}

// auditKey is the environment of an Audit that signs its log.
func auditKey(b *testing.B) string {
	b.Helper()
	file := filepath.Join(b.TempDir(), "audit.key")
	check.NoError(b, os.WriteFile(file, []byte(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1}, 32))), 0o600))
	return "GATEHOUSE_AUDIT_KEY_FILE=" + file
}

// holdSequencer keeps the log from growing, or lets it: who holds this lock is the one that may.
func holdSequencer(b *testing.B, conn *pgx.Conn, hold bool) {
	b.Helper()
	_, err := conn.Exec(b.Context(), "rollback")
	check.NoError(b, err)
	if hold {
		_, err := conn.Exec(b.Context(), "begin; lock table audit.sequencer in share update exclusive mode")
		check.NoError(b, err)
	}
}

// settle waits for what the last round left to do in the background, and ends what it left to do
// for the server, so that no round pays for another one's.
func (t *trailDatabase) settle(b *testing.B, grows bool) {
	b.Helper()
	until(b, time.Minute, 50*time.Millisecond, func() error {
		var behind, unnamed int64
		err := t.conn.QueryRow(b.Context(), `
			select head - coalesce((select max(size) from audit.checkpoints), 0), head - (select position from audit.names_progress)
			from (select coalesce(max(position), 0) as head from audit.events) e`).Scan(&behind, &unnamed)
		if err == nil && t.served && (grows && behind > 0 || unnamed > 0) {
			err = fmt.Errorf("the log is %d events behind, the names are %d", behind, unnamed)
		}
		return err
	})
	_, err := t.conn.Exec(b.Context(), "checkpoint")
	check.NoError(b, err)
}

// seen is how much of the trail a checkpoint covered at a time.
type seen struct {
	size int64
	at   time.Time
}

// watch looks from now on, 50 times a second, how much of the trail a checkpoint covers. The function
// waits until all of it is, if the log grows, and returns how many seconds after the acknowledgement
// of each batch it was.
func (t *trailDatabase) watch(b *testing.B, grows bool) func([]*relayed) []float64 {
	b.Helper()
	conn := connect(b, t.super)
	before := t.head(b)
	looked, head := make(chan []seen, 1), make(chan int64, 1)
	go func() {
		var all []seen
		defer func() { looked <- all }()
		for last, until := int64(0), int64(math.MaxInt64); last < until; <-time.After(20 * time.Millisecond) {
			var size int64
			if err := conn.QueryRow(b.Context(), "select coalesce(max(size), 0) from audit.checkpoints").Scan(&size); err != nil {
				return
			}
			if size > last {
				all, last = append(all, seen{size, time.Now()}), size
			}
			select {
			case until = <-head:
			default:
			}
		}
	}()
	return func(streams []*relayed) (lags []float64) {
		if !grows {
			head <- 0
			<-looked
			return nil
		}
		head <- t.head(b)
		all, positions := <-looked, t.positions(b, before)
		for _, r := range streams {
			for i, id := range r.last {
				at := slices.IndexFunc(all, func(s seen) bool { return s.size >= positions[id] })
				if at < 0 {
					b.Fatalf("no checkpoint covers the event %s", id)
				}
				lags = append(lags, max(0, all[at].at.Sub(r.acked[i]).Seconds()))
			}
		}
		return lags
	}
}

func (t *trailDatabase) head(b *testing.B) (head int64) {
	b.Helper()
	check.NoError(b, t.conn.QueryRow(b.Context(), "select coalesce(max(position), 0) from audit.events").Scan(&head))
	return head
}

// positions are those of the events after one, by their ids.
func (t *trailDatabase) positions(b *testing.B, after int64) map[string]int64 {
	b.Helper()
	rows, err := t.conn.Query(b.Context(), "select id::text, position from audit.events where position > $1", after)
	check.NoError(b, err)
	all := map[string]int64{}
	var id string
	var position int64
	_, err = pgx.ForEachRow(rows, []any{&id, &position}, func() error {
		all[id] = position
		return nil
	})
	check.NoError(b, err)
	return all
}

// fresh returns the rows that are new since the last call, as PostgreSQL would copy them out.
func (t *trailDatabase) fresh(b *testing.B) (events, personal []byte) {
	b.Helper()
	for table, into := range map[string]*[]byte{"events": &events, "personal_values": &personal} {
		var out bytes.Buffer
		_, err := t.conn.PgConn().CopyTo(b.Context(), &out,
			fmt.Sprintf("copy (select * from audit.%s where position > %d order by position) to stdout (format binary)", table, t.last))
		check.NoError(b, err)
		*into = out.Bytes()
	}
	check.NoError(b, t.conn.QueryRow(b.Context(), "select max(position) from audit.events").Scan(&t.last))
	return events, personal
}

// copyIn is the other side: one transaction, as durable as Audit's.
func (t *trailDatabase) copyIn(ctx context.Context, events, personal []byte) error {
	return pgx.BeginFunc(ctx, t.conn, func(tx pgx.Tx) error {
		if _, err := tx.Conn().PgConn().CopyFrom(ctx, bytes.NewReader(events), "copy audit.events from stdin (format binary)"); err != nil {
			return err
		}
		_, err := tx.Conn().PgConn().CopyFrom(ctx, bytes.NewReader(personal), "copy audit.personal_values from stdin (format binary)")
		return err
	})
}

func (t *trailDatabase) count(b *testing.B) (n int) {
	b.Helper()
	check.NoError(b, t.conn.QueryRow(b.Context(), "select count(*) from audit.events").Scan(&n))
	return n
}
