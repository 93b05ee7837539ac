package app

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/fx"

	"github.com/gatehouse/gatehouse/internal/fxmod"
	httpserver "github.com/gatehouse/gatehouse/internal/server/http"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres"
	"github.com/gatehouse/gatehouse/services/auth/internal/signingkey"
)

// mailMetrics are what of mails is measured. Each instance counts what it did; what waits they all
// see alike.
type mailMetrics struct {
	outcomes                *prometheus.CounterVec
	waiting, parked, oldest prometheus.Gauge
}

func newMailMetrics(registry prometheus.Registerer) (*mailMetrics, error) {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: "gatehouse_mail_" + name, Help: help})
	}
	m := &mailMetrics{
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gatehouse_mail_total", Help: "Mails and attempts by what became of them."}, []string{"outcome"}),
		waiting:  gauge("waiting", "Mails that wait for their delivery, counted up to 10,000."),
		parked:   gauge("parked", "Mails that the mail server refused for good within a week."),
		oldest:   gauge("oldest_seconds", "Age of the oldest mail that waits for its delivery."),
	}
	for _, o := range mail.Outcomes() {
		m.outcomes.WithLabelValues(string(o))
	}
	for _, c := range []prometheus.Collector{m.outcomes, m.waiting, m.parked, m.oldest} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics of mails: %w", err)
		}
	}
	return m, nil
}

// Count implements mail.Metrics.
func (m *mailMetrics) Count(o mail.Outcome) { m.outcomes.WithLabelValues(string(o)).Inc() }

// Standing implements mail.Metrics.
func (m *mailMetrics) Standing(s mail.Standing, now time.Time) {
	m.waiting.Set(float64(s.Waiting))
	m.parked.Set(float64(s.Parked))
	age := 0.0
	if !s.Oldest.IsZero() {
		age = max(now.Sub(s.Oldest).Seconds(), 0)
	}
	m.oldest.Set(age)
}

// newMails is the queue, for the stores whose changes are told by mail.
func newMails(pool *pgxpool.Pool, metrics mail.Metrics, log *slog.Logger) *postgres.Mails {
	return postgres.NewMails(pool, func(ctx context.Context, kind mail.Kind) {
		metrics.Count(mail.Limited)
		log.WarnContext(ctx, "a mail is not sent: its address had as many as it may have within an hour", "kind", string(kind))
	})
}

// newMailSealer seals mails with what follows from the sealing key of the signing keys, as codes
// are.
func newMailSealer(sealer *signingkey.Sealer, keeper *signingkey.Keeper) (*mail.Sealer, error) {
	return mailSealer(sealer, previousOf(keeper))
}

func mailSealer(sealer *signingkey.Sealer, usePrevious func() bool) (*mail.Sealer, error) {
	secrets := map[string]mail.Secrets{}
	for _, purpose := range []string{mail.SealPurpose, mail.AddressPurpose} {
		current, previous, err := sealer.Derive(purpose)
		if err != nil {
			return nil, fmt.Errorf("open the key of mails: %w", err)
		}
		secrets[purpose] = mail.Secrets{Current: current, Previous: previous}
	}
	return mail.NewSealer(secrets[mail.SealPurpose], secrets[mail.AddressPurpose], usePrevious)
}

// newSender is what delivers mails; nil where no mail is configured.
func newSender(c Config) (mail.Sender, error) {
	switch {
	case c.Mail.Mailbox:
		return &mail.Mailbox{}, nil
	case c.Mail.SMTP != "":
		return c.Mail.sender()
	}
	return nil, nil
}

// mailbox is where the mails of a developer's mailbox are read: on the ops listener, and nowhere
// where mails are sent.
func mailbox(sender mail.Sender) []httpserver.Route {
	box, ok := sender.(*mail.Mailbox)
	if !ok {
		return nil
	}
	return []httpserver.Route{{Pattern: "GET /mailbox", Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_ = json.NewEncoder(w).Encode(map[string]any{"mails": box.List()}) // the client is gone when this is refused
	})}}
}

// newDesk writes mails; nil writes none.
func newDesk(c Config, sender mail.Sender, sealer *mail.Sealer, now func() time.Time, log *slog.Logger) (*mail.Desk, error) {
	if sender == nil {
		return nil, nil
	}
	return mail.NewDesk(c.Kernel.Token.Issuer, sealer, now, log)
}

// courierParams are what the courier is made of.
type courierParams struct {
	fx.In

	Store   mail.Store
	Sender  mail.Sender
	Sealer  *mail.Sealer
	Metrics mail.Metrics
	Now     func() time.Time
	Log     *slog.Logger
}

func newCourier(p courierParams) *mail.Courier {
	return mail.NewCourier(mail.CourierParams{Store: p.Store, Sender: p.Sender, Sealer: p.Sealer, Metrics: p.Metrics, Now: p.Now, Log: p.Log})
}

// newTrials send the mails of administrators who look whether mail arrives.
func newTrials(store mail.TrialStore, desk *mail.Desk, courier *mail.Courier) *mail.Trials {
	return mail.NewTrials(mail.TrialParams{Store: store, Desk: desk, NewID: uuid.NewString, Wake: courier.Wake})
}

// deliver is the part that delivers mails, or says that none is sent.
func (p workParams) deliver() fxmod.Part {
	if p.Sender == nil {
		return fxmod.Part{Name: "mail", Start: func(ctx context.Context) error {
			p.Log.InfoContext(ctx, "no mail is sent: neither GATEHOUSE_MAIL_SMTP_URL nor GATEHOUSE_MAIL_MAILBOX is set; nobody proves their address, and who signs up is told when one has a login")
			return nil
		}}
	}
	return fxmod.Background("mail", p.Courier.Run)
}
