package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/client/audit"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/services/auth/internal/factor"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
)

// Factors implements factor.Store. Whoever changes a second factor locks the login first, like
// whoever begins a session of it.
type Factors struct {
	pool   *pgxpool.Pool
	outbox *outbox.Outbox
	mails  *Mails
}

// NewFactors returns the store of second factors.
func NewFactors(pool *pgxpool.Pool, o *outbox.Outbox, m *Mails) *Factors {
	return &Factors{pool: pool, outbox: o, mails: m}
}

type factorRow struct {
	UserID         string
	OrganizationID string
	Email          string
	PasswordHash   string
	EmailVerified  bool
	Revision       int64
	Sealed         []byte
	LastStep       int64
	EnrolTime      *time.Time
	Codes          int
	IsRequired     bool
}

const factorOf = `
	select l.user_id::text, l.organization_id::text, l.email, l.password_hash, l.email_verified, l.factor_revision as revision, f.sealed,
	    coalesce(f.last_step, 0) as last_step, f.enrol_time,
	    (select count(*) from auth.recovery_codes c where c.user_id = l.user_id)::int as codes,
	    coalesce(p.second_factor_required, false) as is_required
	from auth.logins l left join auth.totp f on f.user_id = l.user_id
	    left join auth.sign_in_policies p on p.organization_id = l.organization_id
	where l.user_id = @user_id and l.state = 'active'`

// Person implements factor.Store.
func (s *Factors) Person(ctx context.Context, userID string) (factor.Person, error) {
	row, err := one[factorRow](ctx, s.pool, factorOf, pgx.StrictNamedArgs{"user_id": userID})
	if errors.Is(err, pgx.ErrNoRows) {
		return factor.Person{}, factor.ErrNotFound
	}
	if err != nil {
		return factor.Person{}, pg.Error(fmt.Errorf("read second factor: %w", err))
	}
	p := factor.Person{
		UserID: row.UserID, OrganizationID: row.OrganizationID, Email: row.Email, PasswordHash: row.PasswordHash, EmailVerified: row.EmailVerified,
		Revision: row.Revision, Sealed: row.Sealed, LastStep: row.LastStep, Codes: row.Codes, IsRequired: row.IsRequired,
	}
	if row.EnrolTime != nil {
		p.EnrolTime = *row.EnrolTime
	}
	return p, nil
}

const enrolFactor = `
	update auth.logins set second_factor = true, factor_revision = factor_revision + 1
	where user_id = @user_id and state = 'active' and factor_revision = @revision and @proven_by in ('', password_hash)
	returning factor_revision as revision`

// Enrol implements factor.Store.
func (s *Factors) Enrol(ctx context.Context, n factor.Enrolled, e event.Event) (revision int64, err error) {
	err = s.outbox.InTx(ctx, func(tx pgx.Tx) error {
		of := pgx.StrictNamedArgs{"user_id": n.UserID}
		if _, err := tx.Exec(ctx, lockLogin, of); err != nil {
			return err
		}
		type enrolled struct{ Revision int64 }
		row, err := one[enrolled](ctx, tx, enrolFactor, pgx.StrictNamedArgs{"user_id": n.UserID, "revision": n.Revision, "proven_by": n.PasswordHash})
		if errors.Is(err, pgx.ErrNoRows) {
			return factor.ErrNotFound
		}
		if err != nil {
			return err
		}
		revision = row.Revision
		if _, err := tx.Exec(ctx, `delete from auth.totp where user_id = @user_id`, of); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `insert into auth.totp (user_id, sealed, last_step, enrol_time) values (@user_id, @sealed, @step, @now)`,
			pgx.StrictNamedArgs{"user_id": n.UserID, "sealed": n.Sealed, "step": n.Step, "now": n.Time}); err != nil {
			return err
		}
		if err := insertCodes(ctx, tx, n.UserID, n.Codes); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, lockBrowsers, of); err != nil {
			return err
		}
		others := pgx.StrictNamedArgs{"user_id": n.UserID, "keep": n.Keep, "expire_time": n.RevokedUntil}
		if _, err := tx.Exec(ctx, endOthers+" select id from changed", others); err != nil {
			return err
		}
		return s.told(ctx, tx, n.Notice, e)
	})
	return revision, factorError("enrol second factor", err)
}

func insertCodes(ctx context.Context, tx pgx.Tx, userID string, codes []factor.CodeHash) error {
	hashes := make([][]byte, len(codes))
	for i := range codes {
		hashes[i] = codes[i][:]
	}
	_, err := tx.Exec(ctx, `insert into auth.recovery_codes (user_id, code_hash) select @user_id, unnest(@hashes::bytea[])`,
		pgx.StrictNamedArgs{"user_id": userID, "hashes": hashes})
	return err
}

// told ends a transaction: the notice is queued and the event recorded.
func (s *Factors) told(ctx context.Context, tx pgx.Tx, notice *mail.Queued, e event.Event) error {
	if err := s.mails.Queue(ctx, tx, notice); err != nil {
		return err
	}
	return audit.Record(ctx, s.outbox, tx, e)
}

func factorError(what string, err error) error {
	if err == nil || errors.Is(err, factor.ErrNotFound) {
		return err
	}
	return pg.Error(fmt.Errorf("%s: %w", what, err))
}

// useStep is judged once more on the locked row: of several at once one takes the step.
const useStep = `
	update auth.totp f set last_step = @step from auth.logins l
	where l.user_id = f.user_id and l.factor_revision = @revision and f.user_id = @user_id and f.last_step < @step`

// UseStep implements factor.Store.
func (s *Factors) UseStep(ctx context.Context, userID string, revision, step int64) error {
	tag, err := s.pool.Exec(ctx, useStep, pgx.StrictNamedArgs{"user_id": userID, "revision": revision, "step": step})
	if err == nil && tag.RowsAffected() == 0 {
		err = factor.ErrNotFound
	}
	return factorError("use a code", err)
}

const hasCode = `select exists (select from auth.recovery_codes where user_id = @user_id and code_hash = @hash) as good`

// HasCode implements factor.Store.
func (s *Factors) HasCode(ctx context.Context, userID string, hash factor.CodeHash) (bool, error) {
	type answer struct{ Good bool }
	row, err := one[answer](ctx, s.pool, hasCode, pgx.StrictNamedArgs{"user_id": userID, "hash": hash[:]})
	return row.Good, factorError("read a recovery code", err)
}

const useCode = `
	delete from auth.recovery_codes c using auth.logins l
	where l.user_id = c.user_id and l.factor_revision = @revision and c.user_id = @user_id and c.code_hash = @hash`

// UseCode implements factor.Store.
func (s *Factors) UseCode(ctx context.Context, userID string, revision int64, hash factor.CodeHash, notice *mail.Queued, e event.Event) error {
	return factorError("use a recovery code", s.outbox.InTx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, useCode, pgx.StrictNamedArgs{"user_id": userID, "revision": revision, "hash": hash[:]})
		if err == nil && tag.RowsAffected() == 0 {
			err = factor.ErrNotFound
		}
		if err != nil {
			return err
		}
		return s.told(ctx, tx, notice, e)
	}))
}

// lockFactor locks the login of a user who has the second factor of a revision.
const lockFactor = `select from auth.logins where user_id = @user_id and second_factor and factor_revision = @revision for update`

// ReplaceCodes implements factor.Store.
func (s *Factors) ReplaceCodes(ctx context.Context, userID string, revision int64, codes []factor.CodeHash, notice *mail.Queued, e event.Event) error {
	return factorError("replace recovery codes", s.outbox.InTx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, lockFactor, pgx.StrictNamedArgs{"user_id": userID, "revision": revision})
		if err == nil && tag.RowsAffected() == 0 {
			err = factor.ErrNotFound
		}
		if err == nil {
			_, err = tx.Exec(ctx, `delete from auth.recovery_codes where user_id = @user_id`, pgx.StrictNamedArgs{"user_id": userID})
		}
		if err == nil {
			err = insertCodes(ctx, tx, userID, codes)
		}
		if err != nil {
			return err
		}
		return s.told(ctx, tx, notice, e)
	}))
}

// Remove implements factor.Store.
func (s *Factors) Remove(ctx context.Context, userID string, revision int64, notice *mail.Queued, e event.Event) error {
	return factorError("remove second factor", s.outbox.InTx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, lockFactor, pgx.StrictNamedArgs{"user_id": userID, "revision": revision})
		if err == nil && tag.RowsAffected() == 0 {
			err = factor.ErrNotFound
		}
		if err == nil {
			err = forgetFactor(ctx, tx, userID)
		}
		if err != nil {
			return err
		}
		return s.told(ctx, tx, notice, e)
	}))
}

// forgetFactor takes the second factor of a login away, if it has one, with its recovery codes. The
// transaction has locked the login.
func forgetFactor(ctx context.Context, tx pgx.Tx, userID string) error {
	of := pgx.StrictNamedArgs{"user_id": userID}
	_, err := tx.Exec(ctx, `
		update auth.logins set second_factor = false, factor_revision = factor_revision + 1 where user_id = @user_id and second_factor`, of)
	if err == nil {
		_, err = tx.Exec(ctx, `delete from auth.totp where user_id = @user_id`, of)
	}
	return err
}

// Record implements factor.Store.
func (s *Factors) Record(ctx context.Context, e event.Event) error {
	m, err := audit.Seal(s.outbox, e)
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	_, err = changeAndRecord(ctx, s.pool, `with changed as (select)`+recordChanged, pgx.StrictNamedArgs{}, m)
	if err == nil {
		s.outbox.Wake()
	}
	return factorError("record", err)
}

// Reseal implements factor.Store.
func (s *Factors) Reseal(ctx context.Context, reseal func(userID string, sealed []byte) ([]byte, error)) (changed int, err error) {
	type row struct {
		UserID string
		Sealed []byte
	}
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		changed = 0
		stored, err := all[row](ctx, tx, `select user_id::text, sealed from auth.totp order by user_id for update`, pgx.StrictNamedArgs{})
		if err != nil {
			return err
		}
		for _, r := range stored {
			sealed, err := reseal(r.UserID, r.Sealed)
			if err != nil {
				return err
			}
			if sealed == nil {
				continue
			}
			_, err = tx.Exec(ctx, `update auth.totp set sealed = @sealed where user_id = @user_id`, pgx.StrictNamedArgs{"user_id": r.UserID, "sealed": sealed})
			if err != nil {
				return err
			}
			changed++
		}
		return nil
	})
	return changed, factorError("seal second factors anew", err)
}
