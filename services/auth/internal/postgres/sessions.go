package postgres

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/client/audit"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

// Sessions implements session.Store.
type Sessions struct {
	pool   *pgxpool.Pool
	outbox *outbox.Outbox
}

// NewSessions returns the store of sessions and revocations.
func NewSessions(pool *pgxpool.Pool, o *outbox.Outbox) *Sessions {
	return &Sessions{pool: pool, outbox: o}
}

type sessionRow struct {
	ID             string
	UserID         string
	OrganizationID string
	FamilyHash     []byte
	TokenHash      []byte
	AuthTime       time.Time
	AMR            []string
	Address        string
	UserAgent      string
	CreateTime     time.Time
	RefreshTime    time.Time
	ExpireTime     time.Time
	BrowserID      string
	BrowserSeen    *time.Time
	ClientID       string
	Scope          string
	Audience       []string
	LacksFactor    bool
}

func (r sessionRow) session() session.Session {
	n := session.Session{
		ID: r.ID, UserID: r.UserID, OrganizationID: r.OrganizationID,
		Family: [sha256.Size]byte(r.FamilyHash), Token: [sha256.Size]byte(r.TokenHash),
		AuthTime: r.AuthTime, AMR: r.AMR, From: request.Client{Address: r.Address, Agent: r.UserAgent},
		CreateTime: r.CreateTime, RefreshTime: r.RefreshTime, ExpireTime: r.ExpireTime,
		BrowserID: r.BrowserID, ClientID: r.ClientID, Scope: r.Scope, Audience: r.Audience, LacksFactor: r.LacksFactor,
	}
	if r.BrowserSeen != nil {
		n.BrowserSeen = *r.BrowserSeen
	}
	return n
}

// sessionColumns and sessionValues are a row of a session that begins, whose user is named user_id
// where the values are selected; sessionArgs are the arguments. A statement that stores a client's
// session selects them from the row of its browser session, locked (liveBrowser), so that neither
// ends without the other.
const (
	sessionColumns = `id, user_id, family_hash, token_hash, auth_time, amr, address, user_agent, create_time, refresh_time, expire_time,
	        browser_session_id, client_id, scope, audience`
	sessionValues = `@id, user_id, @family_hash, @token_hash, @auth_time, @amr, @address, @user_agent, @create_time, @refresh_time, @expire_time,
	        nullif(@browser_session_id, '')::uuid, nullif(@client_id, ''), @scope, @audience`
)

func sessionArgs(n session.Session) pgx.StrictNamedArgs {
	return pgx.StrictNamedArgs{
		"id": n.ID, "user_id": n.UserID, "family_hash": n.Family[:], "token_hash": n.Token[:],
		"auth_time": n.AuthTime, "amr": list(n.AMR), "address": n.From.Address, "user_agent": n.From.Agent,
		"create_time": n.CreateTime, "refresh_time": n.RefreshTime, "expire_time": n.ExpireTime,
		"browser_session_id": n.BrowserID, "client_id": n.ClientID, "scope": n.Scope, "audience": list(n.Audience),
	}
}

// recordChanged ends a statement whose last part, changed, returns a row when something was changed: the event is appended with the
// change, after it and in the same round trip.
const recordChanged = `
	insert into auth.outbox (id, topic, key, payload)
	select @outbox_id::uuid, @outbox_topic::text, @outbox_key::text, @outbox_payload::bytea from changed`

// changeAndRecord runs a statement that ends with recordChanged and reports whether something was changed.
func changeAndRecord(ctx context.Context, db database, sql string, args pgx.StrictNamedArgs, m outbox.Message) (changed bool, err error) {
	maps.Copy(args, m.Args())
	tag, err := db.Exec(ctx, sql, args)
	return tag.RowsAffected() > 0, err
}

const startSession = `
	with login as (` + provenLogin + `),
	changed as (
	    insert into auth.sessions (` + sessionColumns + `)
	    select ` + sessionValues + ` from login
	    returning user_id)` + recordChanged

func startArgs(n session.Session) pgx.StrictNamedArgs {
	args := sessionArgs(n)
	args["proven_by"], args["factor"] = n.ProvenBy, n.Factor
	return args
}

// provenLogin is the active login of a person who was just proven by a password hash, if any, and
// by the second factor that the login has, if any: no way to a session leads past that. The shared
// lock makes a removal, or a change of the password or the factor, wait for what begins, or the
// other way round: then it is looked at again, so that nobody is signed in by what was good before.
const provenLogin = `
	    select user_id from auth.logins
	    where user_id = @user_id and state = 'active' and @proven_by in ('', password_hash)
	        and @factor::bigint = case when second_factor then factor_revision else 0 end
	    for share`

// Start implements session.Store.
func (s *Sessions) Start(ctx context.Context, n session.Session, e event.Event) error {
	m, err := audit.Seal(s.outbox, e)
	if err != nil {
		return fmt.Errorf("start session: %w", err)
	}
	started, err := changeAndRecord(ctx, s.pool, startSession, startArgs(n), m)
	if err != nil {
		return pg.Error(fmt.Errorf("start session: %w", err))
	}
	if !started {
		return session.ErrNotFound
	}
	s.outbox.Wake()
	return nil
}

const sessionSelect = `
	select s.id::text, s.user_id::text, l.organization_id::text, s.family_hash, s.token_hash, coalesce(s.auth_time, s.create_time) as auth_time,
	    s.amr, s.address, s.user_agent, s.create_time, s.refresh_time, s.expire_time, coalesce(s.browser_session_id::text, '') as browser_id,
	    b.seen_time as browser_seen, coalesce(s.client_id, '') as client_id, s.scope, s.audience,
	    ` + lacksFactor + ` as lacks_factor
	from auth.sessions s join auth.logins l on l.user_id = s.user_id left join auth.browser_sessions b on b.id = s.browser_session_id`

const (
	sessionByID     = sessionSelect + ` where s.id = @id`
	sessionByFamily = sessionSelect + ` where s.family_hash = @family_hash`
)

// Get implements session.Store.
func (s *Sessions) Get(ctx context.Context, id string) (session.Session, error) {
	return s.get(ctx, sessionByID, pgx.StrictNamedArgs{"id": id})
}

// GetFamily implements session.Store.
func (s *Sessions) GetFamily(ctx context.Context, family [sha256.Size]byte) (session.Session, error) {
	return s.get(ctx, sessionByFamily, pgx.StrictNamedArgs{"family_hash": family[:]})
}

func (s *Sessions) get(ctx context.Context, sql string, args pgx.StrictNamedArgs) (session.Session, error) {
	row, err := one[sessionRow](ctx, s.pool, sql, args)
	if errors.Is(err, pgx.ErrNoRows) {
		return session.Session{}, session.ErrNotFound
	}
	if err != nil {
		return session.Session{}, pg.Error(fmt.Errorf("read session: %w", err))
	}
	return row.session(), nil
}

// rotateSession changes a session that still has the token that was read. It does not wait for
// whoever holds the browser session, which may wait for this session: it was seen by that one, too.
const rotateSession = `
	with changed as (
	    update auth.sessions set token_hash = @token_hash, refresh_time = @refresh_time where id = @id and token_hash = @read_hash
	    returning id),
	seen as (
	    update auth.browser_sessions set seen_time = @refresh_time
	    where id in (
	        select id from auth.browser_sessions where id = nullif(@browser_session_id, '')::uuid and seen_time <= @stale_since
	        for no key update skip locked) and exists (select from changed))` + recordChanged

// Refresh implements session.Store, in two round trips and without a transaction around them: of
// several who read the same token one changes the session, and the others read it again.
func (s *Sessions) Refresh(ctx context.Context, family [sha256.Size]byte, decide func(session.Session) session.Decision) error {
	for {
		row, err := one[sessionRow](ctx, s.pool, sessionByFamily, pgx.StrictNamedArgs{"family_hash": family[:]})
		if errors.Is(err, pgx.ErrNoRows) {
			return session.ErrNotFound
		}
		if err != nil {
			return pg.Error(fmt.Errorf("refresh session: %w", err))
		}
		done, err := s.carryOut(ctx, row, decide(row.session()))
		if err != nil {
			return pg.Error(fmt.Errorf("refresh session: %w", err))
		}
		if done {
			return nil
		}
	}
}

// carryOut does what was decided about a session, or reports that it is another one by now.
func (s *Sessions) carryOut(ctx context.Context, row sessionRow, d session.Decision) (done bool, err error) {
	if d.End == nil && d.Rotate == nil {
		return true, nil
	}
	m, err := audit.Seal(s.outbox, d.Event)
	if err != nil {
		return false, err
	}
	if d.End != nil {
		return true, s.end(ctx, row.UserID, *d.End, m)
	}
	done, err = changeAndRecord(ctx, s.pool, rotateSession, pgx.StrictNamedArgs{
		"id": row.ID, "read_hash": row.TokenHash, "token_hash": d.Rotate.Token[:], "refresh_time": d.Rotate.RefreshTime,
		"browser_session_id": row.BrowserID, "stale_since": d.Rotate.StaleSince,
	}, m)
	if done {
		s.outbox.Wake()
	}
	return done, err
}

// End implements session.Store.
func (s *Sessions) End(ctx context.Context, userID string, r session.Revocation, e event.Event) error {
	m, err := audit.Seal(s.outbox, e)
	if err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	if err := s.end(ctx, userID, r, m); err != nil {
		return pg.Error(fmt.Errorf("end session: %w", err))
	}
	return nil
}

// endSession checks the user by "is not distinct from", which no index serves: by "=" the planner may read all sessions of the user.
const endSession = `
	with changed as (delete from auth.sessions where id = @id and user_id is not distinct from @user_id returning id),
	revoked as (
	    insert into auth.revocations (session_id, expire_time)
	    select id, @expire_time from changed
	    on conflict (session_id) do nothing)` + recordChanged

// end deletes a session, revokes its access tokens and records that, in one statement.
func (s *Sessions) end(ctx context.Context, userID string, r session.Revocation, m outbox.Message) error {
	ended, err := changeAndRecord(ctx, s.pool, endSession, pgx.StrictNamedArgs{"id": r.SessionID, "user_id": userID, "expire_time": r.ExpireTime}, m)
	if ended {
		s.outbox.Wake()
	}
	return err
}
