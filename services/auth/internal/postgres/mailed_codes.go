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
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
	"github.com/gatehouse/gatehouse/services/auth/internal/proof"
)

// MailedCodes implements proof.Store. Other stores use codes up in their transactions, by
// takeMailedCode. Of what a transaction locks, a login comes first, then addresses of mails, and
// codes come last.
type MailedCodes struct {
	pool   *pgxpool.Pool
	outbox *outbox.Outbox
	mails  *Mails
}

// NewMailedCodes returns the store of what waits for its code.
func NewMailedCodes(pool *pgxpool.Pool, o *outbox.Outbox, m *Mails) *MailedCodes {
	return &MailedCodes{pool: pool, outbox: o, mails: m}
}

// Ask implements proof.Store. What nobody is told of waits as nobody's, so that it replaces
// nothing.
func (s *MailedCodes) Ask(ctx context.Context, p proof.Pending, m *mail.Queued, e event.Event) error {
	err := s.outbox.InTx(ctx, func(tx pgx.Tx) error {
		queued, err := s.mails.queue(ctx, tx, m)
		if err != nil {
			return err
		}
		if !queued {
			p.UserID = ""
		}
		if err := keepMailedCode(ctx, tx, p); err != nil {
			return err
		}
		return audit.Record(ctx, s.outbox, tx, e)
	})
	if err != nil {
		return fmt.Errorf("ask for a mailed code: %w", err)
	}
	return nil
}

const insertMailedCode = `
	insert into auth.mailed_codes (code_hash, purpose, user_id, email, password_hash, display_name, return_to, create_time, expire_time)
	values (@code_hash, @purpose, nullif(@user_id, '')::uuid, @email, @password_hash, @display_name, @return_to, @create_time, @expire_time)
	on conflict (user_id, purpose) where purpose <> 'reset' do update
	set code_hash = excluded.code_hash, email = excluded.email, password_hash = excluded.password_hash, display_name = excluded.display_name,
	    return_to = excluded.return_to, create_time = excluded.create_time, expire_time = excluded.expire_time`

// keepMailedCode adds to a transaction what waits for its code; what waited for the same purpose
// and user is replaced, unless it is a reset.
func keepMailedCode(ctx context.Context, tx pgx.Tx, p proof.Pending) error {
	_, err := tx.Exec(ctx, insertMailedCode, pgx.StrictNamedArgs{
		"code_hash": p.Hash[:], "purpose": string(p.Purpose), "user_id": p.UserID, "email": p.Email, "password_hash": p.PasswordHash,
		"display_name": p.DisplayName, "return_to": p.ReturnTo, "create_time": p.CreateTime, "expire_time": p.ExpireTime,
	})
	if err != nil {
		return fmt.Errorf("keep what waits for a code: %w", err)
	}
	return nil
}

// good is the condition under which a code is good for one of some purposes.
const good = `code_hash = @code_hash and purpose = any(@purposes) and expire_time > @now`

const mailedCodeColumns = `code_hash, purpose, coalesce(user_id::text, '') as user_id, email, password_hash, display_name, return_to, create_time, expire_time`

const (
	findMailedCode   = `select ` + mailedCodeColumns + ` from auth.mailed_codes where ` + good
	deleteMailedCode = `delete from auth.mailed_codes where ` + good + ` returning ` + mailedCodeColumns
)

// Find implements proof.Store.
func (s *MailedCodes) Find(ctx context.Context, code proof.Hash, now time.Time, purposes ...proof.Purpose) (proof.Pending, error) {
	return mailedCode(ctx, s.pool, findMailedCode, code, now, purposes)
}

// takeMailedCode uses a code up in a transaction, and returns what has waited for it; else it is
// proof.ErrNotFound. Of several transactions at once that take one code, the others wait for the
// first and succeed only if that does not commit.
func takeMailedCode(ctx context.Context, tx pgx.Tx, code proof.Hash, now time.Time, purposes ...proof.Purpose) (proof.Pending, error) {
	return mailedCode(ctx, tx, deleteMailedCode, code, now, purposes)
}

type mailedCodeRow struct {
	CodeHash                                                    []byte
	Purpose, UserID, Email, PasswordHash, DisplayName, ReturnTo string
	CreateTime, ExpireTime                                      time.Time
}

func mailedCode(ctx context.Context, db database, sql string, code proof.Hash, now time.Time, purposes []proof.Purpose) (proof.Pending, error) {
	r, err := one[mailedCodeRow](ctx, db, sql, pgx.StrictNamedArgs{"code_hash": code[:], "purposes": purposes, "now": now})
	if errors.Is(err, pgx.ErrNoRows) {
		return proof.Pending{}, proof.ErrNotFound
	}
	if err != nil {
		return proof.Pending{}, pg.Error(fmt.Errorf("read mailed code: %w", err))
	}
	return proof.Pending{
		Hash: proof.Hash(r.CodeHash), Purpose: proof.Purpose(r.Purpose), UserID: r.UserID, Email: r.Email, PasswordHash: r.PasswordHash,
		DisplayName: r.DisplayName, ReturnTo: r.ReturnTo, CreateTime: r.CreateTime.UTC(), ExpireTime: r.ExpireTime.UTC(),
	}, nil
}

const dropMailedCodes = `delete from auth.mailed_codes where user_id = @user_id and (@purposes::text[] is null or purpose = any(@purposes))`

// forgetMailedCodes makes the codes of a user worthless, in a transaction: those of some purposes,
// or of none all.
func forgetMailedCodes(ctx context.Context, tx pgx.Tx, userID string, purposes ...proof.Purpose) error {
	if _, err := tx.Exec(ctx, dropMailedCodes, pgx.StrictNamedArgs{"user_id": userID, "purposes": purposes}); err != nil {
		return fmt.Errorf("forget mailed codes: %w", err)
	}
	return nil
}

const cleanMailedCodes = `
	delete from auth.mailed_codes where code_hash in (
	    select code_hash from auth.mailed_codes where expire_time <= @before limit @limit for update skip locked)`

// Clean implements proof.Store. Rows that somebody holds are left for the next time.
func (s *MailedCodes) Clean(ctx context.Context, before time.Time, limit int) (int, error) {
	tag, err := s.pool.Exec(ctx, cleanMailedCodes, pgx.StrictNamedArgs{"before": before, "limit": limit})
	if err != nil {
		return 0, pg.Error(fmt.Errorf("clean mailed codes: %w", err))
	}
	return int(tag.RowsAffected()), nil
}
