package mailtest

import (
	"bytes"
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
)

// Office is a desk, and whoever reads what it writes.
type Office struct {
	*mail.Desk

	sealer *mail.Sealer
	now    func() time.Time
}

// NewOffice returns one of the issuer https://gate.example.
func NewOffice(t *testing.T, now func() time.Time) Office {
	t.Helper()
	key := mail.Secrets{Current: bytes.Repeat([]byte{7}, 32)}
	sealer, err := mail.NewSealer(key, key, func() bool { return false })
	check.NoError(t, err)
	desk, err := mail.NewDesk("https://gate.example", sealer, now, slog.New(slog.DiscardHandler))
	check.NoError(t, err)
	return Office{Desk: desk, sealer: sealer, now: now}
}

// Read delivers what a queue holds, and returns it when it is empty.
func (o Office) Read(t *testing.T, store mail.Store) []mail.Delivered {
	t.Helper()
	mailbox := &mail.Mailbox{}
	courier := o.Courier(store, mailbox, o.now)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		courier.Run(ctx)
	}()
	check.Eventually(t, "the queue is empty", func() bool {
		s, err := store.Standing(t.Context())
		return err == nil && s.Waiting == 0
	})
	stop()
	<-done
	return mailbox.List()
}

// Courier returns one that delivers what the desk has written.
func (o Office) Courier(store mail.Store, sender mail.Sender, now func() time.Time) *mail.Courier {
	return mail.NewCourier(mail.CourierParams{
		Store: store, Sender: sender, Sealer: o.sealer, Metrics: nobody{}, Now: now, Log: slog.New(slog.DiscardHandler),
	})
}

// nobody wants to know.
type nobody struct{}

func (nobody) Count(mail.Outcome) {}

func (nobody) Standing(mail.Standing, time.Time) {}
