package login_test

import (
	"encoding/hex"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/outbox/outboxtest"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail/mailtest"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/migrations"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/auth/internal/proof"
	"github.com/gatehouse/gatehouse/services/auth/internal/throttle"
)

// mailing configures mail, and returns who reads it.
func (w *world) mailing(t *testing.T) mailtest.Office {
	t.Helper()
	office := mailtest.NewOffice(t, func() time.Time { return w.now })
	w.desk = office.Desk
	w.Service = w.with(t, cheap)
	return office
}

var mailedCode = regexp.MustCompile(`\?code=([A-Za-z0-9_-]{22})\s`)

// codes are those of the mails that wait, "" of one without.
func (w *world) codes(t *testing.T, office mailtest.Office) (codes []proof.Code) {
	t.Helper()
	for _, d := range office.Read(t, w.Mails) {
		codes = append(codes, "")
		if found := mailedCode.FindStringSubmatch(d.Text); found != nil {
			codes[len(codes)-1] = proof.Code(found[1])
		}
	}
	return codes
}

// asked signs up and returns the code of the mail.
func (w *world) asked(t *testing.T, office mailtest.Office, pw string) proof.Code {
	t.Helper()
	if u, err := w.signUp(pw); err != nil || u.ID != "" {
		t.Fatalf("SignUp = %+v, %v; want nothing yet", u, err)
	}
	codes := w.codes(t, office)
	if len(codes) != 1 || codes[0] == "" {
		t.Fatalf("codes %q, want one", codes)
	}
	return codes[0]
}

func (w *world) verify(t *testing.T, code proof.Code, pw string) error {
	t.Helper()
	e := postgrestest.Request(t.Context(), "auth.email_verified")
	_, err := w.VerifyEmail(e, login.Verification{Code: code, Password: pw})
	return err
}

// refused wants a refusal that changes nothing.
func (w *world) refused(t *testing.T, code proof.Code, pw, want string) {
	t.Helper()
	before := w.state(t)
	if err := w.verify(t, code, pw); reason(err) != want {
		t.Errorf("%v, want %s", err, want)
	}
	if after := w.state(t); after != before {
		t.Errorf("the login was %q and is %q", before, after)
	}
}

// With mail there is no login before the address is proven, by the code and the password of that
// sign-up, and then once.
func TestSignUpByMail(t *testing.T) { // R66
	w := newWorld(t)
	office := w.mailing(t)
	code := w.asked(t, office, pass)
	if w.state(t) != "" || w.identity.calls != 0 {
		t.Error("the login exists before its address is proven")
	}
	w.refused(t, code, wrong, refusal)
	check.NoError(t, w.verify(t, code, pass))
	l, err := w.store.ByEmail(t.Context(), email)
	if err != nil || l.State != login.Active || !l.EmailVerified || w.identity.users[l.UserID].DisplayName != "Ada" {
		t.Errorf("%+v, %v, and Identity has %+v", l, err, w.identity.users)
	}
	w.refused(t, code, pass, "INVALID_MAILED_CODE")
	var actions []string
	for _, e := range w.Recorded(t) {
		actions = append(actions, e.Action)
		if e.Action == "auth.signed_up" && (e.Actor.ID != l.UserID || e.ObjectID != l.UserID || len(e.Changes) != 2 || !e.Changes[0].Personal) {
			t.Errorf("recorded %+v", e)
		}
	}
	if !slices.Equal(actions, []string{"auth.sign_up_requested", "auth.signed_up"}) {
		t.Errorf("recorded %v", actions)
	}
	tries(t, w.Service, 1, "192.0.2.1", login.Credentials{Email: email, Password: pass}, "")
}

// The owner of a taken address is told, without a code, and keeps everything.
func TestSignUpWithATakenAddress(t *testing.T) {
	w := signedUp(t)
	office := w.mailing(t)
	if u, err := w.signUp(wrong); err != nil || u.ID != "" {
		t.Errorf("SignUp = %+v, %v; want the answer of a new address", u, err)
	}
	told := office.Read(t, w.Mails)
	if len(told) != 1 || told[0].To != email || told[0].Subject != "You have an account already" || strings.Contains(told[0].Text, "code=") {
		t.Errorf("told %+v", told)
	}
	tries(t, w.Service, 1, "192.0.2.1", login.Credentials{Email: email, Password: pass}, "")
	l, _ := w.store.ByEmail(t.Context(), email)
	if events := w.Recorded(t); events[len(events)-1].ObjectID != l.UserID {
		t.Error("the owner does not see it")
	}
}

// Whoever gets the mail of a stranger's sign-up gets no account with the stranger's password, and
// two sign-ups of one address do not mix: the first one that is proven is it.
func TestSignUpsOfOneAddressDoNotMix(t *testing.T) {
	w := newWorld(t)
	office := w.mailing(t)
	strangers, own := w.asked(t, office, wrong), w.asked(t, office, pass)
	w.refused(t, strangers, pass, refusal)
	check.NoError(t, w.verify(t, own, pass))
	w.refused(t, strangers, wrong, "EMAIL_TAKEN")
	tries(t, w.Service, 1, "192.0.2.1", login.Credentials{Email: email, Password: pass}, "")
}

// Of uses of one code at once exactly one succeeds, and there is one login.
func TestUsesOfOneCodeAtOnce(t *testing.T) {
	w := newWorld(t)
	code := w.asked(t, w.mailing(t), pass)
	errs := make([]error, 8)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() { errs[i] = w.verify(t, code, pass) })
	}
	all.Wait()
	succeeded := 0
	for _, err := range errs {
		switch reason(err) {
		case "":
			succeeded++
		case "INVALID_MAILED_CODE", "EMAIL_TAKEN":
		default:
			t.Error(err)
		}
	}
	if succeeded != 1 || len(w.identity.users) != 1 || w.state(t) != login.Active {
		t.Errorf("%d succeeded, and Identity has %d users", succeeded, len(w.identity.users))
	}
}

// Steps that come without those before them are refused, and change nothing.
func TestVerifyOutOfOrder(t *testing.T) {
	w := newWorld(t)
	office := w.mailing(t)
	w.refused(t, proof.NewCode(), pass, "INVALID_MAILED_CODE")
	w.refused(t, "", pass, "INVALID_MAILED_CODE")
	for _, p := range []proof.Purpose{proof.Reset, proof.ChangeEmail, proof.Invitation} {
		waits, code := proof.New(p, email, w.now)
		waits.UserID = uuid.NewString()
		check.NoError(t, w.MailedCodes.Ask(t.Context(), waits, office.VerifyEmail(t.Context(), "other@example.com", "", mail.Told{Code: string(code), Lasts: p.Lasts()}), postgrestest.Event("auth.asked")))
		w.refused(t, code, pass, "INVALID_MAILED_CODE")
	}
	w.codes(t, office)
	late := w.asked(t, office, pass)
	w.now = w.now.Add(proof.SignUp.Lasts())
	w.refused(t, late, pass, "INVALID_MAILED_CODE")
}

// Guesses of the password behind a code cost waits, like those of a sign-in.
func TestGuessesBehindACodeCostWaits(t *testing.T) { // R7
	w := newWorld(t)
	code := w.asked(t, w.mailing(t), pass)
	for range throttle.FreeFailures {
		w.refused(t, code, wrong, refusal)
	}
	w.refused(t, code, pass, refusal)
	w.now = w.now.Add(throttle.FirstWait)
	check.NoError(t, w.verify(t, code, pass))
}

// Whoever fails with the address of somebody else keeps them from no sign-up: its code has a
// counter of its own.
func TestStrangersFailuresLeaveASignUp(t *testing.T) { // R8
	w := newWorld(t)
	code := w.asked(t, w.mailing(t), pass)
	tries(t, w.Service, throttle.FreeFailures+1, "192.0.2.1", login.Credentials{Email: email, Password: wrong}, refusal)
	check.NoError(t, w.verify(t, code, pass))
}

// What is stored is completed: when Identity is away, or the program is killed after the code was
// used up, the reconciler makes the user. Each call says that the address is verified, so that
// Identity is not behind, whichever of them made the user.
func TestAProvenSignUpIsCompleted(t *testing.T) {
	down := apierr.New(apierr.Unavailable, "DOWN", "down")
	for name, fails := range map[string]struct{ before, after error }{"before Identity knows": {before: down}, "after Identity knows": {after: down}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			code := w.asked(t, w.mailing(t), pass)
			w.identity.fail(fails.before, fails.after)
			if err := w.verify(t, code, pass); reason(err) != "IDENTITY_UNAVAILABLE" || w.state(t) != login.Pending {
				t.Fatalf("%v, and the login is %q", err, w.state(t))
			}
			w.identity.fail(nil, nil)
			w.now = w.now.Add(time.Minute)
			check.NoError(t, w.Reconcile(t.Context()))
			l, err := w.store.ByEmail(t.Context(), email)
			if err != nil || l.State != login.Active || !l.EmailVerified {
				t.Errorf("%+v, %v", l, err)
			}
			if w.identity.calls != 2 || w.identity.unproven != 0 {
				t.Errorf("of %d calls %d said that the address is unverified", w.identity.calls, w.identity.unproven)
			}
		})
	}
}

// New, taken, pending and rate-limited sign-ups are one answer after the same work: one hash and
// the same statements, in the same order.
func TestSignUpsByMailSendTheSameStatements(t *testing.T) { // R10, R11
	w := signedUp(t)
	w.identity.fail(apierr.New(apierr.Unavailable, "DOWN", "down"), nil)
	if _, err := w.SignUp(signingUp(t.Context()), login.SignUp{Email: "pending@example.com", Password: pass}); err == nil {
		t.Fatal("the pending sign-up succeeded")
	}
	w.mailing(t)
	traced := &statements{}
	config := w.Pool.Config()
	config.ConnConfig.Tracer = traced
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	check.NoError(t, err)
	defer pool.Close()
	params := w.Params
	box := outboxtest.New(t, pool, migrations.Schema)
	params.Store, params.Codes = postgres.NewLogins(pool, box, w.Mails), postgres.NewMailedCodes(pool, box, w.Mails)
	count := &counting{Hasher: params.Hasher}
	params.Hasher = count
	s := login.NewService(params)
	var want []string
	for i := range 2 * 5 { // the second half is beyond the mails of an address
		for _, address := range []string{"new@example.com", email, "pending@example.com"} {
			traced.sent, count.hashed, count.verified = nil, 0, 0
			u, err := s.SignUp(signingUp(t.Context()), login.SignUp{Email: address, Password: pass, DisplayName: "Ada"})
			if want == nil {
				want = traced.sent
			}
			if err != nil || u != (login.User{}) || count.hashed != 1 || count.verified != 0 || len(want) < 5 || !slices.Equal(traced.sent, want) {
				t.Errorf("%s, %d: %+v, %v, %d hashes, statements %q, want %q", address, i, u, err, count.hashed, traced.sent, want)
			}
		}
	}
}

// Somebody who is signed in proves the address of their login: by the mailed code and its password.
// Identity learns of it, also when it was away.
func TestAPersonProvesTheirAddress(t *testing.T) {
	w := newWorld(t)
	if err := w.RequestVerification(t.Context(), login.VerificationRequest{UserID: uuid.NewString()}); reason(err) != "MAIL_NOT_CONFIGURED" {
		t.Errorf("without mail: %v", err)
	}
	u, err := w.signUp(pass)
	check.NoError(t, err)
	office := w.mailing(t)
	ask := func() error {
		e := postgrestest.Event("auth.email_verification_requested")
		return w.RequestVerification(t.Context(), login.VerificationRequest{UserID: u.ID, Accept: "de", Event: e})
	}
	check.NoError(t, ask())
	older := w.codes(t, office)[0]
	check.NoError(t, ask())
	code := w.codes(t, office)[0]
	w.refused(t, older, pass, "INVALID_MAILED_CODE")
	w.refused(t, code, wrong, refusal)
	check.NoError(t, w.verify(t, code, pass))
	w.refused(t, code, pass, "INVALID_MAILED_CODE")
	if l, err := w.store.ByEmail(t.Context(), email); err != nil || !l.EmailVerified || l.UserID != u.ID {
		t.Errorf("%+v, %v", l, err)
	}
	w.identity.fail(apierr.New(apierr.Unavailable, "DOWN", "down"), nil)
	if err := w.ReconcileEmails(t.Context()); err == nil {
		t.Error("told while Identity is away")
	}
	w.identity.fail(nil, nil)
	w.now = w.now.Add(time.Minute)
	for range 2 { // once is enough
		check.NoError(t, w.ReconcileEmails(t.Context()))
		w.now = w.now.Add(time.Minute)
	}
	if want := []login.Email{{UserID: u.ID, Address: email, Verified: true, Revision: 1}}; !slices.Equal(w.identity.told, want) {
		t.Errorf("told %+v, want %+v", w.identity.told, want)
	}
	if err := ask(); reason(err) != "EMAIL_ALREADY_VERIFIED" {
		t.Errorf("once more: %v", err)
	}
}

// A code is worth nothing when the login has gone, or its password is another one by now.
func TestCodesOfALoginThatChanged(t *testing.T) {
	for name, change := range map[string]func(w *world, userID string) error{
		"removed": func(w *world, userID string) error { return w.Remove(signingUp(t.Context()), userID) },
		"another address": func(w *world, userID string) error {
			_, err := w.Pool.Exec(t.Context(), `update auth.logins set email = 'other@example.com' where user_id = $1`, userID)
			return err
		},
	} {
		w := newWorld(t)
		u, err := w.signUp(pass)
		check.NoError(t, err)
		office := w.mailing(t)
		check.NoError(t, w.RequestVerification(t.Context(), login.VerificationRequest{UserID: u.ID, Event: postgrestest.Event("auth.asked")}))
		code := w.codes(t, office)[0]
		check.NoError(t, change(w, u.ID))
		if err := w.verify(t, code, pass); reason(err) != "INVALID_MAILED_CODE" {
			t.Errorf("%s: %v", name, err)
		}
		if l, err := w.store.ByUser(t.Context(), u.ID); err == nil && l.EmailVerified {
			t.Errorf("%s: verified", name)
		}
	}
}

// tables is all that the database keeps, as text.
func (w *world) tables(t *testing.T) (all string) {
	t.Helper()
	rows, err := w.Pool.Query(t.Context(), `select table_name::text from information_schema.tables where table_schema = 'auth'`)
	check.NoError(t, err)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	check.NoError(t, err)
	for _, name := range names {
		var rows string
		check.NoError(t, w.Pool.QueryRow(t.Context(), `select coalesce(string_agg(t::text, ' '), '') from auth.`+name+` t`).Scan(&rows))
		all += name + ": " + rows + "\n"
	}
	return all
}

// A mailed code is in no table, event or log line: not while it is good, nor after it was used,
// refused or guessed; and no password is.
func TestMailedCodesAreNowhere(t *testing.T) {
	w := newWorld(t)
	office := w.mailing(t)
	if _, err := w.signUp(pass); err != nil {
		t.Fatal(err)
	}
	waiting := w.tables(t) // the mail, too
	code := w.codes(t, office)[0]
	w.refused(t, code, wrong, refusal)
	check.NoError(t, w.verify(t, code, pass))
	w.refused(t, code, pass, "INVALID_MAILED_CODE")
	all := waiting + w.tables(t) + w.log.String()
	if !strings.Contains(waiting, "mailed_codes: (") || !strings.Contains(all, "outbox: (") {
		t.Fatal("nothing was looked at")
	}
	for _, secret := range []string{string(code), pass, wrong} {
		for _, form := range []string{secret, hex.EncodeToString([]byte(secret))} {
			if strings.Contains(all, form) {
				t.Errorf("%s is in\n%s", form, all)
			}
		}
	}
}
