package postgres

import (
	"maps"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/client/audit"
	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/migrations"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

func attempt(now, id string, key []byte) pgx.StrictNamedArgs {
	return pgx.StrictNamedArgs{
		"id": id, "account": key, "device": key, "address": key, "window": key, "windows": [][]byte{key, key}, "proven": true, "remember": true, "user_id": id, "budget": 300,
		"now": now, "forgotten": now, "address_forgotten": now, "free": 10, "first_wait": 30 * time.Second, "longest_wait": 15 * time.Minute,
	}
}

// What every request or every quarter of a second asks reads an index: a scan of a table would grow with the number of users.
func TestHotQueriesUseTheirIndex(t *testing.T) {
	pool := pgtest.New(t, migrations.Schema, migrations.Files)
	fill(t, pool)
	const now, before, id = "2031-01-01T00:00:00Z", "2020-01-01T00:00:00Z", "0b7c1c3e-5a52-4a52-9f52-2d6f6c1d7a10"
	hash := make([]byte, 32)
	for title, c := range map[string]struct {
		sql   string
		args  pgx.StrictNamedArgs
		index string
	}{
		"sign-in":         {loginByEmail, pgx.StrictNamedArgs{"email": "77@example.com"}, "logins_email_key"},
		"signed in as":    {loginByUser, pgx.StrictNamedArgs{"user_id": id}, "logins_pkey"},
		"refresh":         {sessionByFamily, pgx.StrictNamedArgs{"family_hash": make([]byte, 32)}, "sessions_family_hash_key"},
		"session by id":   {sessionByID, pgx.StrictNamedArgs{"id": id}, "sessions_pkey"},
		"session start":   {startSession, record(startArgs(session.Session{ID: id, UserID: id, CreateTime: time.Unix(0, 0), RefreshTime: time.Unix(0, 0), AuthTime: time.Unix(0, 0), ExpireTime: time.Unix(0, 0)})), "logins_pkey"},
		"client start":    {"with " + liveBrowser + " insert into auth.sessions (" + sessionColumns + ") select " + sessionValues + " from browser", sessionArgs(session.Session{ID: id, UserID: id, BrowserID: id, ClientID: "shop"}), "browser_sessions_pkey"},
		"rotation":        {rotateSession, record(pgx.StrictNamedArgs{"id": id, "read_hash": hash, "token_hash": hash, "refresh_time": now, "browser_session_id": id, "stale_since": now}), "sessions_pkey"},
		"sign-out":        {endSession, record(pgx.StrictNamedArgs{"id": id, "user_id": id, "expire_time": now}), "sessions_pkey"},
		"client":          {clientByID, pgx.StrictNamedArgs{"id": "client-" + id}, "clients_pkey"},
		"client's secret": {clientByID, pgx.StrictNamedArgs{"id": "client-" + id}, "client_secrets_client_id"},
		"client's end":    {endSessionsOfClient, pgx.StrictNamedArgs{"id": "client-" + id, "expire_time": now}, "sessions_client_id"},
		"clients":         {listClients, pgx.StrictNamedArgs{"first": false, "after_time": now, "after_id": "client-" + id, "row_limit": 51}, "clients_create_time_id"},
		"browser start":   {startBrowser, record(browser(pgx.StrictNamedArgs{"create_time": now})), "logins_pkey"},
		"browser renewal": {renewBrowser, record(browser(pgx.StrictNamedArgs{"old_hash": hash})), "browser_sessions_secret_hash_key"},
		"browser look":    {findBrowser, pgx.StrictNamedArgs{"secret_hash": hash, "now": before, "idle_since": before, "stale_since": before}, "browser_sessions_secret_hash_key"},
		"browser end":     {endBrowser, record(pgx.StrictNamedArgs{"id": id, "user_id": id, "expire_time": now}), "sessions_browser_session_id"},
		"sessions, own":   {listEntries, pgx.StrictNamedArgs{"user_id": id, "now": before, "idle_since": before, "browser_idle": before, "first": true, "after_time": now, "after_id": id, "row_limit": 51}, "sessions_user_id"},
		"and browsers":    {listEntries, pgx.StrictNamedArgs{"user_id": id, "now": before, "idle_since": before, "browser_idle": before, "first": true, "after_time": now, "after_id": id, "row_limit": 51}, "browser_sessions_user_id"},
		"and below":       {listBelow, pgx.StrictNamedArgs{"browsers": []string{id}, "now": before, "idle_since": before}, "sessions_browser_session_id"},
		"end one":         {endOne, record(pgx.StrictNamedArgs{"id": id, "user_id": id, "expire_time": now}), "sessions_browser_session_id"},
		"end others":      {endOthers + recordChanged, record(pgx.StrictNamedArgs{"user_id": id, "keep": id, "expire_time": now}), "sessions_user_id"},
		"code":            {redeemCode, record(code(now, id)), "sessions_browser_session_id"},
		"and its client":  {redeemCode, record(code(now, id)), "clients_pkey"},
		"attempt":         {settleAttempt, attempt(now, id, hash[:16]), "known_devices_pkey"},
		"attempt, budget": {settleAttempt, attempt(now, id, hash[:16]), "failures_pkey"},
		"forgotten":       {cleanFailures, pgx.StrictNamedArgs{"before": before, "most": 1000000}, "failures_update_time"},
		"devices":         {cleanDevices, pgx.StrictNamedArgs{"before": before}, "known_devices_seen_time"},
		"person":          {person, pgx.StrictNamedArgs{"id": id}, "logins_pkey"},
		"used codes":      {cleanCodes, pgx.StrictNamedArgs{"before": before, "limit": 10}, "used_codes_expire_time"},
		"failures, one":   {forgetFailures, pgx.StrictNamedArgs{"key": make([]byte, 16)}, "failures_pkey"},
		"devices of one":  {dropDevices, pgx.StrictNamedArgs{"user_id": id}, "known_devices_user_id"},
		"addresses, due":  {claimEmailChanges, pgx.StrictNamedArgs{"now": before, "retry": now, "limit": 10}, "logins_new_email_attempt_time"},
		"emails to tell":  {claimEmails, pgx.StrictNamedArgs{"now": now, "retry": now, "limit": 10}, "logins_email_attempt_time"},
		"revocation feed": {newRevocations, pgx.StrictNamedArgs{"after": int64(1) << 40, "now": before}, "revocations_writer"},
		"sign-in policy":  {loginByEmail, pgx.StrictNamedArgs{"email": "77@example.com"}, "sign_in_policies_pkey"},
		"policies, due":   {claimPolicies, pgx.StrictNamedArgs{"now": before, "next": now, "limit": 10}, "sign_in_policies_look_time"},
		"reconciler":      {claimLogins, pgx.StrictNamedArgs{"now": now, "retry": now, "limit": 10}, "logins_attempt_time"},
	} {
		t.Run(title, func(t *testing.T) {
			pgtest.WantIndex(t, pool, c.index, c.sql, c.args, "Seq Scan")
		})
	}
}

// So does what is asked of mails, mailed codes and second factors.
func TestQueriesOfMailsAndFactorsUseTheirIndex(t *testing.T) {
	pool := pgtest.New(t, migrations.Schema, migrations.Files)
	fill(t, pool)
	const now, before, id = "2031-01-01T00:00:00Z", "2020-01-01T00:00:00Z", "0b7c1c3e-5a52-4a52-9f52-2d6f6c1d7a10"
	hash := make([]byte, 32)
	for title, c := range map[string]struct {
		sql   string
		args  pgx.StrictNamedArgs
		index string
	}{
		"mails, due":         {claimMails, pgx.StrictNamedArgs{"now": before, "lease": now, "limit": 4}, "mails_attempt_time"},
		"mails, expired":     {expireMails, pgx.StrictNamedArgs{"now": before, "limit": 10}, "mails_attempt_time"},
		"mail, of its id":    {statusOfMail, pgx.StrictNamedArgs{"id": id}, "mails_pkey"},
		"mails, parked":      {cleanParked, pgx.StrictNamedArgs{"before": before, "limit": 10}, "mails_park_time"},
		"mails, counted":     {cleanAddresses, pgx.StrictNamedArgs{"before": before, "limit": 10}, "mail_addresses_last_time"},
		"mailed code":        {findMailedCode, pgx.StrictNamedArgs{"code_hash": hash, "purposes": []string{"reset"}, "now": before}, "mailed_codes_pkey"},
		"and its use":        {deleteMailedCode, pgx.StrictNamedArgs{"code_hash": hash, "purposes": []string{"reset"}, "now": before}, "mailed_codes_pkey"},
		"and its end":        {dropMailedCodes, pgx.StrictNamedArgs{"user_id": id, "purposes": []string{"reset"}}, "mailed_codes_user_id"},
		"mailed codes":       {cleanMailedCodes, pgx.StrictNamedArgs{"before": before, "limit": 10}, "mailed_codes_expire_time"},
		"second factor":      {factorOf, pgx.StrictNamedArgs{"user_id": id}, "logins_pkey"},
		"its secret":         {factorOf, pgx.StrictNamedArgs{"user_id": id}, "totp_pkey"},
		"its codes":          {factorOf, pgx.StrictNamedArgs{"user_id": id}, "recovery_codes_pkey"},
		"code's step":        {useStep, pgx.StrictNamedArgs{"user_id": id, "revision": 1, "step": 1}, "totp_pkey"},
		"recovery code":      {hasCode, pgx.StrictNamedArgs{"user_id": id, "hash": hash}, "recovery_codes_pkey"},
		"recovery codes use": {useCode, pgx.StrictNamedArgs{"user_id": id, "revision": 1, "hash": hash}, "recovery_codes_pkey"},
	} {
		t.Run(title, func(t *testing.T) {
			pgtest.WantIndex(t, pool, c.index, c.sql, c.args, "Seq Scan")
		})
	}
}

// browser adds the arguments of a browser session's row.
func browser(args pgx.StrictNamedArgs) pgx.StrictNamedArgs {
	when := time.Unix(1e9, 0)
	maps.Copy(args, browserArgs(session.Browser{
		ID: "0b7c1c3e-5a52-4a52-9f52-2d6f6c1d7a10", UserID: "0b7c1c3e-5a52-4a52-9f52-2d6f6c1d7a10", AuthTime: when, SeenTime: when, ExpireTime: when,
	}))
	return args
}

// code are the arguments with which a code is redeemed.
func code(now, id string) pgx.StrictNamedArgs {
	args := sessionArgs(session.Session{ID: id, UserID: id, BrowserID: id, ClientID: "c", CreateTime: time.Unix(1e9, 0)})
	maps.Copy(args, pgx.StrictNamedArgs{"code_expires": now, "kept": 49, "revoked_until": now})
	return args
}

// record adds the arguments of an event's row.
func record(args pgx.StrictNamedArgs) pgx.StrictNamedArgs {
	maps.Copy(args, outbox.Message{ID: "0b7c1c3e-5a52-4a52-9f52-2d6f6c1d7a10", Topic: audit.Topic}.Args())
	return args
}

// fill stores enough rows that the planner has a choice.
func fill(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	for _, sql := range []string{
		`insert into auth.logins (user_id, email, password_hash, state, organization_id, create_time, update_time, attempt_time)
		select gen_random_uuid(), n || '@example.com', '$hash', case n % 50 when 0 then 'pending' else 'active' end,
			case n % 50 when 0 then null else gen_random_uuid() end, now(), now(), case n % 50 when 0 then now() end
		from generate_series(1, 5000) n`,
		`insert into auth.sessions (id, user_id, family_hash, token_hash, create_time, refresh_time, expire_time)
		select gen_random_uuid(), user_id, sha256(email::bytea), sha256(email::bytea), now(), now(), now() + interval '1 day'
		from auth.logins where state = 'active'`,
		`insert into auth.revocations (session_id, expire_time, writer)
		select gen_random_uuid(), now() + interval '1 day', n from generate_series(1, 5000) n`,
		`insert into auth.clients (id, name, public, redirect_uris, post_logout_redirect_uris, web_origins, audiences, scopes, id_token_algorithm,
			revision, create_time, update_time)
		select 'client-' || gen_random_uuid(), n::text, false, '{}', '{}', '{}', '{}', '{}', 'RS256', 1, now() + n * interval '1 s', now()
		from generate_series(1, 5000) n`,
		`insert into auth.client_secrets (id, client_id, hash, create_time)
		select gen_random_uuid(), id, sha256(id::bytea), create_time from auth.clients`,
		`insert into auth.browser_sessions (id, secret_hash, user_id, auth_time, amr, address, user_agent, create_time, seen_time, expire_time)
		select gen_random_uuid(), sha256(email::bytea), user_id, now(), '{pwd}', '', '', now(), now(), now() + interval '1 day'
		from auth.logins where state = 'active'`,
		`update auth.sessions s set browser_session_id = b.id, client_id = 'client ' || (random() * 100)::int
		from auth.browser_sessions b where b.user_id = s.user_id and random() < 0.5`,
		`insert into auth.used_codes (session_id, expire_time) select gen_random_uuid(), now() from generate_series(1, 5000)`,
		`insert into auth.failures (key, count, blocked_until, attempt_id, update_time)
		select substr(sha256(n::text::bytea), 1, 16), 1, now(), gen_random_uuid(), now() + n * interval '1 s' from generate_series(1, 5000) n`,
		`insert into auth.known_devices (device_hash, user_id, seen_time)
		select substr(sha256(email::bytea), 1, 16), user_id, now() from auth.logins`,
		`insert into auth.mails (id, kind, sealed, create_time, expire_time, attempt_time, park_time)
		select gen_random_uuid(), 'password_changed', 'sealed', now(), now() + interval '1 day', now(), case n % 10 when 0 then now() end
		from generate_series(1, 5000) n`,
		`insert into auth.mail_addresses (hash, times, last_time) select sha256(n::text::bytea), array[now()], now() from generate_series(1, 5000) n`,
		`insert into auth.mailed_codes (code_hash, purpose, user_id, email, create_time, expire_time)
		select sha256(n::text::bytea), 'reset', case n % 2 when 0 then gen_random_uuid() end, n || '@example.com', now(), now() + interval '10 min'
		from generate_series(1, 5000) n`,
		`insert into auth.totp (user_id, sealed, last_step, enrol_time) select user_id, 'sealed', 1, now() from auth.logins where state = 'active'`,
		`insert into auth.recovery_codes (user_id, code_hash) select user_id, sha256(n::text::bytea) from auth.totp, generate_series(1, 5) n`,
		`insert into auth.sign_in_policies (organization_id, second_factor_required, update_time)
		select organization_id, true, now() from auth.logins where organization_id is not null`,
		`analyze auth.totp, auth.recovery_codes, auth.sign_in_policies, auth.mailed_codes, auth.mails, auth.mail_addresses, auth.failures, auth.known_devices, auth.used_codes, auth.logins, auth.sessions, auth.revocations, auth.browser_sessions, auth.clients, auth.client_secrets`,
	} {
		if _, err := pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
}
