package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/gatehouse/gatehouse/internal/client/audit"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/relation"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
)

// Upkeep is what the owner of the schema does with the trail: it says how long events are kept,
// removes those that are over, and erases personal values. Each change makes an event in its
// transaction, by the outbox of the schema. The serving role can do none of it.
type Upkeep struct {
	box *outbox.Outbox
	log *slog.Logger
}

// NewUpkeep returns it over an outbox whose pool signs in as the owner.
func NewUpkeep(box *outbox.Outbox, log *slog.Logger) *Upkeep { return &Upkeep{box: box, log: log} }

const retentionColumns = "coalesce(organization_id::text, ''), class, coalesce(days, 0), since"

// retentionsOf are those that decide about the events of some organizations.
const retentionsOf = "select " + retentionColumns + " from audit.retention where organization_id is null or organization_id = any($1::text[]::uuid[])"

func scanRetention(row pgx.CollectableRow) (r trail.Retention, err error) {
	var since pgtype.Timestamptz
	err = row.Scan(&r.OrganizationID, &r.Class, &r.Days, &since)
	r.Since = since.Time // zero for -infinity
	return r, err
}

// Retentions returns all of them: those of everybody first.
func (u *Upkeep) Retentions(ctx context.Context) (trail.Retentions, error) {
	rows, err := u.box.Pool.Query(ctx, "select "+retentionColumns+" from audit.retention order by organization_id nulls first, class")
	if err != nil {
		return nil, pg.Error(err)
	}
	all, err := pgx.CollectRows(rows, scanRetention)
	return all, pg.Error(err)
}

// setRetention leaves since as it is: what is gone does not come back by a longer retention. A new
// one of an organization begins with that of everybody.
const setRetention = `
	with changed as (
		update audit.retention set days = nullif(@days, 0) where class = @class and organization_id is not distinct from @organization_id
		returning 1)
	insert into audit.retention (organization_id, class, days, since, swept_until)
	select @organization_id, @class, nullif(@days, 0), since, since from audit.retention
	where class = @class and organization_id is null and not exists (select from changed)`

// SetRetention replaces the retention of a class, for one organization or for all without one.
func (u *Upkeep) SetRetention(ctx context.Context, r trail.Retention, reason string) error {
	if err := errors.Join(r.Check(), trail.CheckReason(reason)); err != nil {
		return err
	}
	organization, err := optionalID("organization", r.OrganizationID)
	if err != nil {
		return err
	}
	e := event.Own(ctx, u.box.Source, "audit.retention_set", "audit_retention")
	e.ObjectID = string(r.Class)
	e.OrganizationID = r.OrganizationID
	e.Changes = changes("days", r.Days, "reason", reason)
	return u.box.InTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "lock table audit.retention in share row exclusive mode"); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, setRetention, pgx.StrictNamedArgs{"organization_id": organization, "class": r.Class, "days": r.Days}); err != nil {
			return fmt.Errorf("set the retention: %w", err)
		}
		return audit.Record(ctx, u.box, tx, e)
	})
}

// SetHold keeps the events that it means from now on, and returns its id. The subject is compared
// in the one form of ids, as events are stored with it.
func (u *Upkeep) SetHold(ctx context.Context, h trail.Hold) (id string, err error) {
	if err := h.Check(); err != nil {
		return "", err
	}
	organization, err := optionalID("organization", h.OrganizationID)
	if err != nil {
		return "", err
	}
	h.SubjectID = relation.CanonicalID(h.SubjectID)
	err = u.box.InTx(ctx, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `
			insert into audit.holds (organization_id, subject_id, since, until, reason)
			values ($1, $2, coalesce($3::timestamptz, '-infinity'), coalesce($4::timestamptz, 'infinity'), $5) returning id::text`,
			organization, h.SubjectID, optionalTime(h.Since), optionalTime(h.Until), h.Reason).Scan(&id)
		if err != nil {
			return fmt.Errorf("set the hold: %w", err)
		}
		e := event.Own(ctx, u.box.Source, "audit.hold_set", "audit_hold")
		e.ObjectID = id
		e.Changes = changes("organization_id", h.OrganizationID, "subject_id", h.SubjectID, "since", h.Since, "until", h.Until, "reason", h.Reason)
		return audit.Record(ctx, u.box, tx, e)
	})
	return id, err
}

// LiftHold ends a hold. The next Keep looks once more at everything that it may have kept.
func (u *Upkeep) LiftHold(ctx context.Context, id, reason string) error {
	if err := trail.CheckReason(reason); err != nil {
		return err
	}
	hold, err := optionalID("hold", id)
	if err != nil {
		return err
	}
	return u.box.InTx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, "update audit.holds set lift_time = now(), lift_reason = $2 where id = $1 and lift_time is null", hold, reason)
		if err != nil {
			return fmt.Errorf("lift the hold: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return fmt.Errorf("there is no hold %q: `audit hold list` names those there are", id)
		}
		if _, err := tx.Exec(ctx, "update audit.retention set swept_until = '-infinity'"); err != nil {
			return fmt.Errorf("lift the hold: %w", err)
		}
		e := event.Own(ctx, u.box.Source, "audit.hold_lifted", "audit_hold")
		e.ObjectID, e.Changes = id, changes("reason", reason)
		return audit.Record(ctx, u.box, tx, e)
	})
}

// Holds returns those that are not lifted, the oldest first.
func (u *Upkeep) Holds(ctx context.Context) ([]trail.Hold, error) {
	rows, err := u.box.Pool.Query(ctx, `
		select id::text, coalesce(organization_id::text, ''), subject_id, since, until, reason from audit.holds
		where lift_time is null order by set_time, id`)
	if err != nil {
		return nil, pg.Error(err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (h trail.Hold, err error) {
		var since, until pgtype.Timestamptz
		err = row.Scan(&h.ID, &h.OrganizationID, &h.SubjectID, &since, &until, &h.Reason)
		h.Since, h.Until = since.Time, until.Time
		return h, err
	})
	return all, pg.Error(err)
}

// optionalID is nil for an empty id.
func optionalID(what, id string) (any, error) {
	if id == "" {
		return nil, nil
	}
	var parsed pgtype.UUID
	if err := parsed.Scan(id); err != nil {
		return nil, fmt.Errorf("the id %q of the %s is no UUID: correct it", id, what)
	}
	return parsed, nil
}

func optionalTime(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}
