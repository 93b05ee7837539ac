package mail_test

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail/mailtest"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail/smtp"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/postgrestest"
)

// counts are metrics.
type counts struct {
	mu       sync.Mutex
	outcomes map[mail.Outcome]int
	standing mail.Standing
}

func (c *counts) Count(o mail.Outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.outcomes[o]++
}

func (c *counts) Standing(s mail.Standing, _ time.Time) { c.standing = s }

// clock is moved by its test.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// world is a queue, a server and a courier between them.
type world struct {
	*postgrestest.Database
	clock
	counts

	server *mailtest.Server
	desk   *mail.Desk
	sealer *mail.Sealer
	log    bytes.Buffer
}

const to = "ada@example.com"

var begun = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

func newWorld(t *testing.T, server *mailtest.Server) *world {
	t.Helper()
	w := &world{Database: postgrestest.Open(t), server: server.Start(t, "", smtp.StartTLS)}
	w.now, w.outcomes = begun, map[mail.Outcome]int{}
	w.sealer = sealer(t, 1)
	w.desk = w.deskWith(t, w.sealer)
	return w
}

func (w *world) logger() *slog.Logger { return slog.New(slog.NewJSONHandler(&w.log, nil)) }

func (w *world) deskWith(t *testing.T, s *mail.Sealer) *mail.Desk {
	t.Helper()
	desk, err := mail.NewDesk("https://gate.example", s, w.Now, w.logger())
	if err != nil {
		t.Fatal(err)
	}
	return desk
}

// secrets of a key.
func secrets(fill byte) mail.Secrets { return mail.Secrets{Current: bytes.Repeat([]byte{fill}, 32)} }

func sealer(t *testing.T, fill byte) *mail.Sealer {
	t.Helper()
	s, err := mail.NewSealer(secrets(fill), secrets(fill+100), func() bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// courier is one instance.
func (w *world) courier(t *testing.T) *mail.Courier {
	t.Helper()
	return w.courierOver(w.Mails, smtp.New(w.server.Config(t, smtp.StartTLS)), w.sealer)
}

func (w *world) courierOver(store mail.Store, sender mail.Sender, s *mail.Sealer) *mail.Courier {
	return mail.NewCourier(mail.CourierParams{Store: store, Sender: sender, Sealer: s, Metrics: &w.counts, Now: w.Now, Log: w.logger()})
}

// notice queues one.
func (w *world) notice(t *testing.T) *mail.Queued {
	t.Helper()
	q := w.desk.PasswordChanged(t.Context(), to, "")
	if q == nil {
		t.Fatalf("no notice: %s", w.log.String())
	}
	w.Queue(t, q)
	return q
}

func turn(t *testing.T, c *mail.Courier) {
	t.Helper()
	if err := c.Turn(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
}

// want compares what waits, what is parked and what arrived.
func (w *world) want(t *testing.T, waiting, parked, taken int) {
	t.Helper()
	s, err := w.Mails.Standing(t.Context())
	if err != nil || s.Waiting != waiting || s.Parked != parked || len(w.server.Taken()) != taken {
		t.Fatalf("%d wait, %d are parked, %d arrived (%v); want %d, %d, %d\n%s", s.Waiting, s.Parked, len(w.server.Taken()), err, waiting, parked, taken, w.log.String())
	}
}
