package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/client/audit"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
)

// Logins implements login.Store.
type Logins struct {
	pool   *pgxpool.Pool
	outbox *outbox.Outbox
	mails  *Mails
}

// NewLogins returns the store of logins. Mails may be nil where no change is told by mail.
func NewLogins(pool *pgxpool.Pool, o *outbox.Outbox, m *Mails) *Logins {
	return &Logins{pool: pool, outbox: o, mails: m}
}

const loginColumns = `user_id::text, email, password_hash, state, coalesce(organization_id::text, '') as organization_id, display_name,
	first_administrator, email_verified, invited, language, second_factor, factor_revision,
	exists (select from auth.sign_in_policies p where p.organization_id = logins.organization_id and p.second_factor_required) as factor_required`

type loginRow struct {
	UserID             string
	Email              string
	PasswordHash       string
	State              string
	OrganizationID     string
	DisplayName        string
	FirstAdministrator bool
	SecondFactor       bool
	FactorRevision     int64
	FactorRequired     bool
	EmailVerified      bool
	Invited            bool
	Language           string
}

func (r loginRow) login() login.Login {
	return login.Login{
		UserID: r.UserID, Email: r.Email, PasswordHash: r.PasswordHash, State: login.State(r.State),
		OrganizationID: r.OrganizationID, DisplayName: r.DisplayName, FirstAdministrator: r.FirstAdministrator,
		Factor:        login.SecondFactor{Enrolled: r.SecondFactor, Revision: r.FactorRevision, Required: r.FactorRequired},
		EmailVerified: r.EmailVerified, Invited: r.Invited, Language: r.Language,
	}
}

// Reserve implements login.Store.
func (s *Logins) Reserve(ctx context.Context, l login.Login, by event.Event, now, retry time.Time) (login.Login, bool, error) {
	if l.FirstAdministrator {
		return s.reserveAdministrator(ctx, l, by, now, retry)
	}
	reserved, err := insertPending(ctx, s.pool, l, by, now, retry)
	if err != nil {
		return login.Login{}, false, pg.Error(fmt.Errorf("reserve login: %w", err))
	}
	if reserved {
		return l, true, nil
	}
	existing, err := s.ByEmail(ctx, l.Email)
	return existing, false, err
}

// insertPending stores a pending login unless its address has one.
func insertPending(ctx context.Context, db database, l login.Login, by event.Event, now, retry time.Time) (inserted bool, err error) {
	if by.Action == "" { // R68
		return false, errors.New("no event to keep with the pending login")
	}
	kept, err := json.Marshal(by)
	if err != nil {
		return false, fmt.Errorf("write event: %w", err)
	}
	tag, err := db.Exec(ctx, `
		insert into auth.logins (user_id, email, password_hash, state, display_name, create_time, update_time, attempt_time,
		    first_administrator, event, email_verified, invited, language)
		values (@user_id, @email, @password_hash, 'pending', @display_name, @now, @now, @retry, @first_administrator, @event, @email_verified, @invited,
		    @language)
		on conflict on constraint logins_email_key do nothing`,
		pgx.StrictNamedArgs{
			"user_id": l.UserID, "email": l.Email, "password_hash": l.PasswordHash, "display_name": l.DisplayName, "now": now, "retry": retry,
			"first_administrator": l.FirstAdministrator, "event": kept, "email_verified": l.EmailVerified, "invited": l.Invited,
			"language": l.Language,
		})
	return tag.RowsAffected() == 1, err
}

const (
	loginByEmail = `select ` + loginColumns + ` from auth.logins where email = @email`
	loginByUser  = `select ` + loginColumns + ` from auth.logins where user_id = @user_id`
)

// ByEmail implements login.Store.
func (s *Logins) ByEmail(ctx context.Context, email string) (login.Login, error) {
	return s.find(ctx, loginByEmail, pgx.StrictNamedArgs{"email": email})
}

// ByUser implements login.Store.
func (s *Logins) ByUser(ctx context.Context, userID string) (login.Login, error) {
	return s.find(ctx, loginByUser, pgx.StrictNamedArgs{"user_id": userID})
}

func (s *Logins) find(ctx context.Context, query string, args pgx.StrictNamedArgs) (login.Login, error) {
	row, err := one[loginRow](ctx, s.pool, query, args)
	if errors.Is(err, pgx.ErrNoRows) {
		return login.Login{}, login.ErrNotFound
	}
	if err != nil {
		return login.Login{}, pg.Error(fmt.Errorf("read login: %w", err))
	}
	return row.login(), nil
}

const activateLogin = `
	with pending as (select user_id, first_administrator from auth.logins where user_id = @user_id and state = 'pending' for update)
	update auth.logins l
	set state = case when suspended then 'suspended' else 'active' end, organization_id = @organization_id, display_name = '', attempt_time = null, event = null,
	    first_administrator = false, invited = false, update_time = @now
	from pending where l.user_id = pending.user_id
	returning pending.first_administrator`

// Activate implements login.Store.
func (s *Logins) Activate(ctx context.Context, a login.Activation, now time.Time) (token string, err error) {
	err = s.outbox.InTx(ctx, func(tx pgx.Tx) error {
		type activated struct{ FirstAdministrator bool }
		row, err := one[activated](ctx, tx, activateLogin,
			pgx.StrictNamedArgs{"user_id": a.UserID, "organization_id": a.OrganizationID, "now": now})
		if errors.Is(err, pgx.ErrNoRows) {
			token, err = activeToken(ctx, tx, a.UserID)
			return err
		}
		if err != nil {
			return err
		}
		if row.FirstAdministrator {
			if token, err = s.useSecret(ctx, tx, a, now); err != nil {
				return err
			}
		}
		return audit.Record(ctx, s.outbox, tx, a.Event)
	})
	if err != nil && !errors.Is(err, login.ErrNotFound) {
		return "", fmt.Errorf("activate login: %w", err)
	}
	return token, err
}

// Undo implements login.Store.
func (s *Logins) Undo(ctx context.Context, userID string) error {
	err := pg.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `delete from auth.logins where user_id = @user_id and state = 'pending'`, pgx.StrictNamedArgs{"user_id": userID})
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		return freeSecret(ctx, tx, userID)
	})
	if err != nil {
		return fmt.Errorf("undo pending login: %w", err)
	}
	return nil
}

const claimLogins = `
	update auth.logins set attempt_time = @retry
	where user_id in (
	    select user_id from auth.logins
	    where state = 'pending' and attempt_time <= @now
	    order by attempt_time limit @limit for update skip locked)
	returning ` + loginColumns + `, event`

type interruptedRow struct {
	loginRow
	Event []byte
}

// Claim implements login.Store. Rows that another instance is claiming are skipped, not waited for.
func (s *Logins) Claim(ctx context.Context, now, retry time.Time, limit int) ([]login.Interrupted, error) {
	rows, err := all[interruptedRow](ctx, s.pool, claimLogins,
		pgx.StrictNamedArgs{"now": now, "retry": retry, "limit": limit})
	if err != nil {
		return nil, pg.Error(fmt.Errorf("claim pending logins: %w", err))
	}
	claimed := make([]login.Interrupted, len(rows))
	for i, row := range rows {
		claimed[i].Login = row.login()
		if row.Event == nil {
			continue
		}
		if err := json.Unmarshal(row.Event, &claimed[i].Event); err != nil {
			return nil, fmt.Errorf("read the event of a pending login: %w", err)
		}
	}
	return claimed, nil
}

// ReplaceHash implements login.Store.
func (s *Logins) ReplaceHash(ctx context.Context, userID, old, hash string, now time.Time, e event.Event) error {
	err := s.outbox.InTx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			update auth.logins set password_hash = @hash, update_time = @now where user_id = @user_id and password_hash = @old`,
			pgx.StrictNamedArgs{"user_id": userID, "old": old, "hash": hash, "now": now})
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return login.ErrNotFound
		}
		return audit.Record(ctx, s.outbox, tx, e)
	})
	if err != nil && !errors.Is(err, login.ErrNotFound) {
		return fmt.Errorf("replace password hash: %w", err)
	}
	return err
}

// Remove implements login.Store. Everything that ends sessions locks mailed codes, login, browser
// session, session and revocation in this order; browser sessions go with the login.
func (s *Logins) Remove(ctx context.Context, userID string, revokedUntil time.Time, e event.Event) error {
	err := s.outbox.InTx(ctx, func(tx pgx.Tx) error {
		locked, err := tx.Exec(ctx, lockLogin, pgx.StrictNamedArgs{"user_id": userID})
		if err != nil {
			return err
		}
		if err := forgetMailedCodes(ctx, tx, userID); err != nil || locked.RowsAffected() == 0 {
			return err
		}
		if _, err = tx.Exec(ctx, lockBrowsers, pgx.StrictNamedArgs{"user_id": userID}); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			with ended as (delete from auth.sessions where user_id = @user_id returning id)
			insert into auth.revocations (session_id, expire_time)
			select id, @until from ended
			on conflict (session_id) do nothing`,
			pgx.StrictNamedArgs{"user_id": userID, "until": revokedUntil})
		if err != nil {
			return err
		}
		if _, err = tx.Exec(ctx, `delete from auth.logins where user_id = @user_id`, pgx.StrictNamedArgs{"user_id": userID}); err != nil {
			return err
		}
		if err := freeSecret(ctx, tx, userID); err != nil {
			return err
		}
		return audit.Record(ctx, s.outbox, tx, e)
	})
	if err != nil {
		return fmt.Errorf("remove login: %w", err)
	}
	return nil
}
