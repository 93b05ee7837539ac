package reset_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/outbox/outboxtest"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/migrations"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/auth/internal/proof"
	"github.com/gatehouse/gatehouse/services/auth/internal/reset"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
	"github.com/gatehouse/gatehouse/services/auth/internal/throttle"
)

// A reset makes the new password good and the old one not, ends every session at once, tells the
// owner, proves the address, and signs nobody in.
func TestAResetReplacesAPasswordAndEndsEverything(t *testing.T) { // R14, R17, R22
	w := newWorld(t)
	userID := w.signedUp(t, ada, true)
	l, err := w.logins.ByUser(t.Context(), userID)
	check.NoError(t, err)
	cookie, b, err := w.browsers.Begin(t.Context(), session.Proof{
		UserID: userID, PasswordHash: l.PasswordHash, AMR: []string{"pwd"}, Attempt: postgrestest.Event("auth.signed_in"),
	})
	check.NoError(t, err)
	below := session.Session{
		ID: uuid.NewString(), UserID: userID, AuthTime: w.now, CreateTime: w.now, RefreshTime: w.now, ExpireTime: w.now.Add(time.Hour),
		BrowserID: b.ID, ClientID: "client-" + uuid.NewString(), AMR: []string{"pwd"}, Scope: "openid", Audience: []string{"urn:orders"},
	}
	w.Below(t, below)
	code := w.asked(t, "Ada@Example.com")
	if got := w.resets(t, code, newPass); got != "" {
		t.Fatal(got)
	}
	if w.signsIn(t, ada, pass) || !w.signsIn(t, ada, newPass) {
		t.Error("the old password is good, or the new one is not")
	}
	if _, err := w.browsers.Find(t.Context(), cookie); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("the browser session: %v", err)
	}
	var sessions, revoked int
	check.NoError(t, w.Pool.QueryRow(t.Context(), `
		select (select count(*) from auth.sessions where user_id = $1), (select count(*) from auth.revocations where session_id = $2)`, userID, below.ID).Scan(&sessions, &revoked))
	if sessions != 0 || revoked != 1 {
		t.Errorf("%d sessions are left, and %d of one is revoked", sessions, revoked)
	}
	read := w.office.Read(t, w.Mails)
	if len(read) != 1 || read[0].To != ada || read[0].Subject != "Your password was reset" {
		t.Errorf("told %+v", read)
	}
	last := w.Recorded(t)
	i := slices.IndexFunc(last, func(e event.Event) bool { return e.Action == "auth.password_reset" })
	if i < 0 || last[i].ObjectID != userID || last[i].Actor.ID != userID || len(last[i].Changes) != 0 {
		t.Errorf("recorded %+v", last)
	}
}

// Whoever proves an unverified address by a reset has it proven, and nothing is left of whoever
// registered it.
func TestAResetProvesTheAddress(t *testing.T) { // R15
	w := newWorld(t)
	userID := w.signedUp(t, ada, false)
	_, _, err := w.logins.Authenticate(postgrestest.Request(t.Context(), "auth.signed_in"), login.Credentials{Email: ada, Password: pass, Device: "theirs"})
	check.NoError(t, err)
	if got := w.resets(t, w.asked(t, ada), newPass); got != "" {
		t.Fatal(got)
	}
	var devices int
	var told bool
	check.NoError(t, w.Pool.QueryRow(t.Context(), `
		select (select count(*) from auth.known_devices where user_id = $1),
		       (select email_verified and email_revision = 1 and email_attempt_time is not null from auth.logins where user_id = $1)`, userID).Scan(&devices, &told))
	if devices != 0 || !told {
		t.Errorf("%d devices are known, and Identity will be told: %t", devices, told)
	}
}

// Of many uses of one code at the same moment one succeeds.
func TestUsesOfOneCodeAtOnce(t *testing.T) {
	w := newWorld(t)
	w.signedUp(t, ada, true)
	code := w.asked(t, ada)
	var mu sync.Mutex
	var all sync.WaitGroup
	outcomes := map[string]int{}
	for range 8 {
		all.Go(func() {
			err := w.Reset(context.Background(), reset.Reset{Code: code, NewPassword: newPass, Event: postgrestest.Event("auth.password_reset")})
			mu.Lock()
			defer mu.Unlock()
			outcomes[reasonOf(err)]++
		})
	}
	all.Wait()
	if outcomes[""] != 1 || outcomes["INVALID_MAILED_CODE"] != 7 {
		t.Errorf("outcomes %v", outcomes)
	}
}

// Every step out of order is refused, and changes nothing; however many look, a code stays good
// until it is used.
func TestStepsOutOfOrder(t *testing.T) {
	w := newWorld(t)
	const wrong = "INVALID_MAILED_CODE"
	userID := w.signedUp(t, ada, true)
	refused := func(name string, code proof.Code, fresh, want string) {
		t.Helper()
		w.Unchanged(t, name, func() {
			if got := w.resets(t, code, fresh); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		})
	}
	refused("before anything was asked for", "guessed", newPass, wrong)
	if code := w.asked(t, "nobody@example.com"); code != "" {
		t.Errorf("nobody is told %q", code)
	}
	elder, code := w.asked(t, ada), w.asked(t, ada)
	refused("a password that is refused", code, "gatehouse gatehouse", "PASSWORD_REFUSED")
	verify, other := proof.New(proof.Verify, ada, w.now)
	verify.UserID = userID
	check.NoError(t, w.MailedCodes.Ask(t.Context(), verify, w.office.VerifyEmail(t.Context(), ada, "", mail.Told{Code: string(other), Lasts: time.Hour}), postgrestest.Event("auth.tested")))
	refused("a code of another purpose", other, newPass, wrong)
	for range 20 {
		if found, err := w.Find(t.Context(), code); err != nil || found.Email != ada {
			t.Fatalf("Find = %+v, %v", found, err)
		}
	}
	w.now = w.now.Add(proof.Reset.Lasts())
	refused("too late", code, newPass, wrong)
	w.now = w.now.Add(-time.Second)
	if got := w.resets(t, code, newPass); got != "" {
		t.Fatalf("in time: %s", got)
	}
	refused("once more", code, newPass, wrong)
	refused("an older code after a newer one was used", elder, newPass, wrong)
	if _, err := w.Find(t.Context(), code); reasonOf(err) != wrong {
		t.Errorf("Find afterwards: %v", err)
	}
	last := w.asked(t, ada)
	check.NoError(t, w.logins.Remove(postgrestest.Request(t.Context(), "auth.login_removed"), userID))
	refused("after the login was removed", last, newPass, wrong)
}

// A stranger who asks for a reset of somebody leaves good what the owner was told, also while the
// form is open.
func TestAStrangersRequestLeavesTheOwnersCodeGood(t *testing.T) { // R8, R15
	w := newWorld(t)
	w.signedUp(t, ada, true)
	owners := w.asked(t, ada)
	if _, err := w.Find(t.Context(), owners); err != nil {
		t.Fatal(err)
	}
	w.asked(t, ada)
	if got := w.resets(t, owners, newPass); got != "" {
		t.Errorf("the owner's older code: %s", got)
	}
}

// Strangers' failures do not keep out who has just proven the address.
func TestAResetForgetsFailures(t *testing.T) { // R7
	w := newWorld(t)
	w.signedUp(t, ada, true)
	for range throttle.FreeFailures {
		w.signsIn(t, ada, "wrong horse battery staple")
	}
	if w.signsIn(t, ada, pass) {
		t.Fatal("no wait")
	}
	if got := w.resets(t, w.asked(t, ada), newPass); got != "" {
		t.Fatal(got)
	}
	if !w.signsIn(t, ada, newPass) {
		t.Error("the owner has to wait")
	}
}

// statements notes what is sent to the database.
type statements struct {
	mu   sync.Mutex
	sent []string
}

func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, q pgx.TraceQueryStartData) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, q.SQL)
	return ctx
}

func (*statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// Asking for a mail sends the same statements and has the same outcome, whoever has the address.
func TestRecoveriesSendTheSameStatements(t *testing.T) { // R10, R11, R15
	w := newWorld(t)
	w.signedUp(t, ada, true)
	w.signedUp(t, "unverified@example.com", false)
	waiting := w.people(func() time.Time { return w.now }, nil, &identity{fail: errors.New("down")})
	waiting.Hasher = w.Hasher
	if _, err := waiting.SignUp(postgrestest.Request(t.Context(), "auth.signed_up"), login.SignUp{Email: "pending@example.com", Password: pass}); err == nil {
		t.Fatal("it is not pending")
	}
	traced := &statements{}
	config := w.Pool.Config()
	config.ConnConfig.Tracer = traced
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	check.NoError(t, err)
	defer pool.Close()
	params := w.Params
	mails := postgres.NewMails(pool, func(context.Context, mail.Kind) {})
	params.Logins, params.Codes = postgres.NewLogins(pool, w.Outbox, mails), postgres.NewMailedCodes(pool, outboxtest.New(t, pool, migrations.Schema), mails)
	params.Log = slog.New(slog.DiscardHandler)
	s := reset.NewService(params)
	var want []string
	for i := range mail.Most + 1 { // the last ones are over the limit
		for _, email := range []string{ada, "nobody@example.com", "unverified@example.com", "pending@example.com"} {
			traced.sent = nil
			check.NoError(t, s.Ask(postgrestest.Request(t.Context(), "auth.password_reset_requested"), email, ""))
			if want == nil {
				want = traced.sent
			}
			if len(want) < 5 || !slices.Equal(traced.sent, want) {
				t.Errorf("%s, %d: %q, want %q", email, i, traced.sent, want)
			}
		}
	}
	told := map[string]int{}
	for _, m := range w.office.Read(t, w.Mails) {
		told[m.To]++
	}
	if len(told) != 2 || told[ada] != mail.MostAsked || told["unverified@example.com"] != mail.MostAsked {
		t.Errorf("told are %v", told)
	}
}

// An administrator starts a reset of who has a login, and is told no code.
func TestAnAdministratorStartsAReset(t *testing.T) {
	w := newWorld(t)
	userID := w.signedUp(t, ada, true)
	ctx := postgrestest.Request(t.Context(), "auth.password_reset_requested")
	if got := reasonOf(w.Start(ctx, uuid.NewString())); got != "NO_LOGIN" {
		t.Errorf("of nobody: %q", got)
	}
	check.NoError(t, w.Start(ctx, userID))
	if got := w.resets(t, w.told(t), newPass); got != "" || !w.signsIn(t, ada, newPass) {
		t.Errorf("the person resets the password: %q", got)
	}
	w.Desk = nil
	for name, err := range map[string]error{"start": w.Start(ctx, userID), "ask": w.Ask(ctx, ada, "")} {
		if reasonOf(err) != "MAIL_NOT_CONFIGURED" {
			t.Errorf("%s without mail: %v", name, err)
		}
	}
}
