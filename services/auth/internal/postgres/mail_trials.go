package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/client/audit"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
)

// MailTrials implements mail.TrialStore.
type MailTrials struct {
	pool   *pgxpool.Pool
	outbox *outbox.Outbox
	mails  *Mails
}

// NewMailTrials returns the store of mails that are asked for by themselves.
func NewMailTrials(pool *pgxpool.Pool, o *outbox.Outbox, m *Mails) *MailTrials {
	return &MailTrials{pool: pool, outbox: o, mails: m}
}

// Queue implements mail.TrialStore.
func (s *MailTrials) Queue(ctx context.Context, q *mail.Queued, e event.Event) error {
	err := s.outbox.InTx(ctx, func(tx pgx.Tx) error {
		queued, err := s.mails.queue(ctx, tx, q)
		switch {
		case err != nil:
			return err
		case !queued:
			return mail.ErrLimited
		}
		return audit.Record(ctx, s.outbox, tx, e)
	})
	if err != nil && !errors.Is(err, mail.ErrLimited) {
		return fmt.Errorf("queue test mail: %w", err)
	}
	return err
}

const statusOfMail = `
	select id::text, kind, attempts, reason, park_time is not null as parked, attempt_time, create_time, expire_time
	from auth.mails where id = @id`

// Status implements mail.TrialStore.
func (s *MailTrials) Status(ctx context.Context, id string) (mail.Status, error) {
	found, err := one[mail.Status](ctx, s.pool, statusOfMail, pgx.StrictNamedArgs{"id": id})
	if errors.Is(err, pgx.ErrNoRows) {
		return mail.Status{}, mail.ErrNotFound
	}
	if err != nil {
		return mail.Status{}, pg.Error(fmt.Errorf("read mail: %w", err))
	}
	return found, nil
}
