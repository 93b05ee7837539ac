package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/client/audit"
	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/services/auth/internal/emailchange"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
	"github.com/gatehouse/gatehouse/services/auth/internal/proof"
)

// EmailChanges implements emailchange.Store.
type EmailChanges struct {
	pool   *pgxpool.Pool
	outbox *outbox.Outbox
	mails  *Mails
}

// NewEmailChanges returns the store of changes of addresses.
func NewEmailChanges(pool *pgxpool.Pool, o *outbox.Outbox, m *Mails) *EmailChanges {
	return &EmailChanges{pool: pool, outbox: o, mails: m}
}

type emailChangeRow struct {
	UserID, OrganizationID, Former, Email, Accept string
	Revision                                      int64
	Event                                         []byte
}

func (r emailChangeRow) change() (c emailchange.Change, err error) {
	c = emailchange.Change{
		UserID: r.UserID, OrganizationID: r.OrganizationID, Former: r.Former, Email: r.Email, Revision: r.Revision, Accept: r.Accept,
	}
	if err := json.Unmarshal(r.Event, &c.Event); err != nil {
		return c, fmt.Errorf("read the event of a change of an address: %w", err)
	}
	return c, nil
}

const emailChangeColumns = `user_id::text, organization_id::text, email as former, new_email as email, new_email_accept as accept,
	email_revision as revision, new_email_event as event`

// reserveEmail takes no address that a login has; of two that reserve one at once, the index lets
// one.
const reserveEmail = `
	update auth.logins
	set new_email = @email, new_email_event = @event, new_email_accept = @accept, new_email_attempt_time = @retry,
	    email_revision = email_revision + 1
	where user_id = @user_id and state = 'active'
	returning ` + emailChangeColumns + `, exists (select from auth.logins o where o.email = @email) as taken`

// Reserve implements emailchange.Store.
func (s *EmailChanges) Reserve(ctx context.Context, code proof.Hash, c emailchange.Change, now, retry time.Time) (reserved emailchange.Change, err error) {
	kept, err := json.Marshal(c.Event)
	if err != nil {
		return reserved, fmt.Errorf("write event: %w", err)
	}
	err = pg.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lockLogin, pgx.StrictNamedArgs{"user_id": c.UserID}); err != nil {
			return err
		}
		p, err := takeMailedCode(ctx, tx, code, now, proof.ChangeEmail)
		if err == nil && p.UserID != c.UserID {
			err = proof.ErrNotFound
		}
		if err != nil {
			return err
		}
		row, err := one[struct {
			emailChangeRow
			Taken bool
		}](ctx, tx, reserveEmail, pgx.StrictNamedArgs{"user_id": c.UserID, "email": p.Email, "event": kept, "accept": c.Accept, "retry": retry})
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return login.ErrNotFound
		case isTaken(err), err == nil && row.Taken:
			return emailchange.ErrTaken
		case err != nil:
			return err
		}
		reserved, err = row.change()
		return err
	})
	return reserved, known("reserve address", err)
}

// isTaken reports whether an address is another login's.
func isTaken(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.Code == "23505" // unique_violation
}

// known wraps an error that is none of the words of the stores.
func known(what string, err error) error {
	for _, word := range []error{nil, proof.ErrNotFound, login.ErrNotFound, emailchange.ErrTaken, emailchange.ErrNotFound} {
		if errors.Is(err, word) {
			return err
		}
	}
	return fmt.Errorf("%s: %w", what, err)
}

// ofChange is the condition under which a change is still the reserved one.
const ofChange = `user_id = @user_id and new_email = @email and email_revision = @revision`

// settled forgets what was reserved, and has Identity told what the login has then.
const settled = `new_email = null, new_email_event = null, new_email_accept = '', new_email_attempt_time = null,
	    email_revision = email_revision + 1, email_attempt_time = @now, update_time = @now`

const (
	commitEmail = `update auth.logins set email = new_email, email_verified = true, ` + settled + ` where ` + ofChange + ` and state = 'active'`
	undoEmail   = `update auth.logins set ` + settled + ` where ` + ofChange
)

// cancelEmail is for whatever ends what a login's holder has begun.
const cancelEmail = `update auth.logins set ` + settled + ` where user_id = @user_id and new_email is not null`

// cancelEmailChange forgets what is reserved for a login, which is locked.
func cancelEmailChange(ctx context.Context, tx pgx.Tx, userID string, now time.Time) error {
	_, err := tx.Exec(ctx, cancelEmail, pgx.StrictNamedArgs{"user_id": userID, "now": now})
	return err
}

// hasEmail reports whether a change has been committed already.
const hasEmail = `select exists (select from auth.logins where user_id = @user_id and email = @email and email_verified)`

func ofChangeArgs(c emailchange.Change, now time.Time) pgx.StrictNamedArgs {
	return pgx.StrictNamedArgs{"user_id": c.UserID, "email": c.Email, "revision": c.Revision, "now": now}
}

// Commit implements emailchange.Store.
func (s *EmailChanges) Commit(ctx context.Context, c emailchange.Change, now time.Time, notices ...*mail.Queued) error {
	err := s.outbox.InTx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, commitEmail, ofChangeArgs(c, now))
		switch {
		case isTaken(err):
			return emailchange.ErrTaken
		case err != nil:
			return err
		case tag.RowsAffected() == 0:
			return committed(ctx, tx, c)
		}
		for _, n := range notices {
			if err := s.mails.Queue(ctx, tx, n); err != nil {
				return err
			}
		}
		return audit.Record(ctx, s.outbox, tx, c.Event)
	})
	return known("change address", err)
}

// committed returns ErrNotFound unless somebody else has committed the change.
func committed(ctx context.Context, tx pgx.Tx, c emailchange.Change) error {
	var done bool
	err := tx.QueryRow(ctx, hasEmail, pgx.StrictNamedArgs{"user_id": c.UserID, "email": c.Email}).Scan(&done)
	if err == nil && !done {
		return emailchange.ErrNotFound
	}
	return err
}

// Undo implements emailchange.Store.
func (s *EmailChanges) Undo(ctx context.Context, c emailchange.Change, now time.Time) error {
	if _, err := s.pool.Exec(ctx, undoEmail, ofChangeArgs(c, now)); err != nil {
		return pg.Error(fmt.Errorf("undo a change of an address: %w", err))
	}
	return nil
}

const claimEmailChanges = `
	update auth.logins set new_email_attempt_time = @retry
	where user_id in (
	    select user_id from auth.logins where new_email_attempt_time <= @now
	    order by new_email_attempt_time limit @limit for update skip locked)
	returning ` + emailChangeColumns

// Claim implements emailchange.Store.
func (s *EmailChanges) Claim(ctx context.Context, now, retry time.Time, limit int) ([]emailchange.Change, error) {
	rows, err := all[emailChangeRow](ctx, s.pool, claimEmailChanges, pgx.StrictNamedArgs{"now": now, "retry": retry, "limit": limit})
	if err != nil {
		return nil, pg.Error(fmt.Errorf("claim changes of addresses: %w", err))
	}
	claimed := make([]emailchange.Change, len(rows))
	for i, r := range rows {
		if claimed[i], err = r.change(); err != nil {
			return nil, err
		}
	}
	return claimed, nil
}
