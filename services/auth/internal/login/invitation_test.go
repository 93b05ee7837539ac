package login_test

import (
	"context"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail/mailtest"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/auth/internal/proof"
)

// ActivateUser knows whom the test has invited, and nobody else.
func (i *identity) ActivateUser(_ context.Context, userID string) (login.User, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.calls++
	if i.before != nil {
		return login.User{}, i.before
	}
	u, ok := i.users[userID]
	if !ok {
		return login.User{}, apierr.New(apierr.NotFound, "USER_NOT_FOUND", "no such user")
	}
	return u, i.after
}

// inviting is a world with mail and a user whom Identity has invited.
type inviting struct {
	*world
	office mailtest.Office
	userID string
	read   int // letters
}

func newInviting(t *testing.T) *inviting {
	t.Helper()
	w := &inviting{world: newWorld(t), userID: uuid.NewString()}
	w.office = mailtest.NewOffice(t, func() time.Time { return w.now })
	w.desk = w.office.Desk
	w.Service = w.with(t, cheap)
	w.identity.users[w.userID] = login.User{ID: w.userID, OrganizationID: uuid.NewString(), Email: email}
	return w
}

// invite sends an invitation of a revision.
func (w *inviting) invite(t *testing.T, revision int64) {
	t.Helper()
	check.NoError(t, w.Invite(postgrestest.Request(t.Context(), "auth.invitation_mailed"), login.Invitation{
		UserID: w.userID, Email: "Ada@Example.com", DisplayName: "Countess of Lovelace", Revision: revision, Language: "de-CH",
	}))
}

// letter returns the newest letter, of which there must be so many.
func (w *inviting) letter(t *testing.T, count int) mail.Delivered {
	t.Helper()
	all := w.office.Read(t, w.Mails)
	w.read += len(all)
	if w.read != count {
		t.Fatalf("%d letters, want %d", w.read, count)
	}
	return all[len(all)-1]
}

var codeOf = regexp.MustCompile(`https://\S+/accept-invitation\?code=(\S+)`)

// code is the code of the newest letter.
func (w *inviting) code(t *testing.T, count int) proof.Code {
	t.Helper()
	found := codeOf.FindStringSubmatch(w.letter(t, count).Text)
	if found == nil {
		t.Fatal("the letter has no link")
	}
	code, err := url.QueryUnescape(found[1])
	check.NoError(t, err)
	return proof.Code(code)
}

func (w *inviting) accept(t *testing.T, code proof.Code, pw string) error {
	t.Helper()
	_, err := w.AcceptInvitation(postgrestest.Request(t.Context(), "auth.invitation_accepted"), login.Acceptance{Code: code, Password: pw})
	return err
}

func (w *inviting) wantSignIn(t *testing.T, pw string, want string) {
	t.Helper()
	_, _, err := w.Authenticate(postgrestest.Request(t.Context(), "auth.signed_in"), login.Credentials{Email: email, Password: pw})
	if reason(err) != want {
		t.Errorf("signing in: %v, want %q", err, want)
	}
}

// An invitation is mailed in the language of the user, makes a login with a verified address, and
// is used up; what it told is in nothing that is stored or recorded.
func TestAnInvitationMakesALogin(t *testing.T) {
	w := newInviting(t)
	w.invite(t, 1)
	w.invite(t, 1) // Identity repeats what it is not sure of
	code := w.code(t, 1)
	for _, pw := range []string{"short", "Countess of Lovelace", "ada@example.com"} { // R4
		if err := w.accept(t, code, pw); reason(err) != "PASSWORD_REFUSED" {
			t.Errorf("%q: %v", pw, err)
		}
	}
	w.wantSignIn(t, pass, "INVALID_CREDENTIALS")
	check.NoError(t, w.accept(t, code, pass))
	l, err := w.store.ByUser(t.Context(), w.userID)
	if err != nil || l.State != login.Active || !l.EmailVerified || l.OrganizationID != w.identity.users[w.userID].OrganizationID {
		t.Errorf("the login is %+v, %v", l, err)
	}
	w.wantSignIn(t, pass, "")
	if err := w.accept(t, code, newPass); reason(err) != "INVALID_MAILED_CODE" {
		t.Errorf("accepted again: %v", err)
	}
	w.wantSignIn(t, newPass, "INVALID_CREDENTIALS")
	w.wantUntold(t, string(code))
}

// wantUntold fails if a secret is in a row, an event or the log.
func (w *inviting) wantUntold(t *testing.T, secret string) {
	t.Helper()
	for _, table := range []string{"logins", "mailed_codes", "mails", "outbox", "refusals"} {
		var found bool
		err := w.Pool.QueryRow(t.Context(), `select exists (select from auth.`+table+` r where strpos(r::text, $1) > 0
			or strpos(r::text, encode(convert_to($1, 'UTF8'), 'hex')) > 0)`, secret).Scan(&found)
		if err != nil || found {
			t.Errorf("auth.%s tells the secret: %v", table, err)
		}
	}
	if strings.Contains(w.log.String(), secret) {
		t.Error("the log tells the secret")
	}
}

// Sending again makes the code of before worthless, and a cancelled one makes no login.
func TestAnInvitationIsSentAgainAndCancelled(t *testing.T) {
	w := newInviting(t)
	w.invite(t, 1)
	first := w.code(t, 1)
	w.invite(t, 2)
	second := w.code(t, 2)
	if err := w.accept(t, first, pass); reason(err) != "INVALID_MAILED_CODE" {
		t.Errorf("the older code: %v", err)
	}
	check.NoError(t, w.Remove(postgrestest.Request(t.Context(), "auth.login_removed"), w.userID))
	if err := w.accept(t, second, pass); reason(err) != "INVALID_MAILED_CODE" {
		t.Errorf("the code of a cancelled invitation: %v", err)
	}
	w.invite(t, 1) // which was on its way when the user was deleted
	late := w.code(t, 3)
	delete(w.identity.users, w.userID)
	if err := w.accept(t, late, pass); reason(err) != "INVALID_MAILED_CODE" {
		t.Errorf("a code of nobody: %v", err)
	}
	if w.state(t) != "" {
		t.Error("it left a login behind")
	}
}

// Out of order, and codes of other purposes: refused, nothing changed.
func TestInvitationsOutOfOrder(t *testing.T) {
	w := newInviting(t)
	w.invite(t, 1)
	code := w.code(t, 1)
	_, err := w.VerifyEmail(postgrestest.Request(t.Context(), "auth.email_verified"), login.Verification{Code: code, Password: pass})
	if reason(err) != "INVALID_MAILED_CODE" {
		t.Errorf("an invitation's code verified an address: %v", err)
	}
	for _, wrong := range []proof.Code{"", "x", proof.NewCode()} {
		if err := w.accept(t, wrong, pass); reason(err) != "INVALID_MAILED_CODE" {
			t.Errorf("the code %q: %v", wrong, err)
		}
	}
	w.now = w.now.Add(7 * 24 * time.Hour)
	if err := w.accept(t, code, pass); reason(err) != "INVALID_MAILED_CODE" {
		t.Errorf("after seven days: %v", err)
	}
	if w.state(t) != "" || w.identity.calls != 0 {
		t.Error("something changed")
	}
}

// Accepted many times at once, an invitation makes one login, with the password of who is answered
// so.
func TestAnInvitationAcceptedAtOnce(t *testing.T) {
	w := newInviting(t)
	w.invite(t, 1)
	code := w.code(t, 1)
	passwords := [2]string{pass, newPass}
	var won [2]atomic.Int32
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			switch err := w.accept(t, code, passwords[i%2]); {
			case err == nil:
				won[i%2].Add(1)
			case reason(err) != "INVALID_MAILED_CODE":
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if won[0].Load()+won[1].Load() != 1 {
		t.Fatalf("%d acceptances succeeded", won[0].Load()+won[1].Load())
	}
	w.wantSignIn(t, passwords[won[1].Load()], "")
	w.wantSignIn(t, passwords[1-won[1].Load()], "INVALID_CREDENTIALS")
}

// Auth or Identity dies after any step of an acceptance: it is completed, or undone where the user
// is gone, and the code stays used up.
func TestAnInterruptedAcceptanceIsCompleted(t *testing.T) {
	down := apierr.New(apierr.Unavailable, "DOWN", "down")
	for name, c := range map[string]struct {
		before, after error
		gone          bool
	}{
		"before Identity knows": {before: down}, "after Identity knows": {after: down}, "cancelled meanwhile": {before: down, gone: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newInviting(t)
			w.invite(t, 1)
			code := w.code(t, 1)
			w.identity.fail(c.before, c.after)
			if err := w.accept(t, code, pass); reason(err) != "IDENTITY_UNAVAILABLE" {
				t.Fatalf("accepted: %v", err)
			}
			w.invite(t, 2) // the inviter is impatient: there is a login already
			w.wantSignIn(t, pass, "INVALID_CREDENTIALS")
			if c.gone {
				delete(w.identity.users, w.userID)
			}
			w.identity.fail(nil, nil)
			w.now = w.now.Add(time.Minute)
			check.NoError(t, w.with(t, cheap).Reconcile(t.Context()))
			want := login.Active
			if c.gone {
				want = ""
			}
			if got := w.state(t); got != want {
				t.Errorf("the login is %q, want %q", got, want)
			}
			if err := w.accept(t, code, newPass); reason(err) != "INVALID_MAILED_CODE" {
				t.Errorf("accepted again: %v", err)
			}
			if len(w.office.Read(t, w.Mails)) != 0 {
				t.Error("a user with a login was invited again")
			}
			if !c.gone {
				w.wantSignIn(t, pass, "")
			}
		})
	}
}

// Who has a login with the address is told so and learns no code; who invites learns nothing, and
// who shows a code after that login was made is told.
func TestAnInvitationToSomebodyWithALogin(t *testing.T) {
	w := newInviting(t)
	w.invite(t, 1)
	code := w.code(t, 1)
	w.desk = nil
	_, err := w.with(t, cheap).SignUp(signingUp(t.Context()), login.SignUp{Email: email, Password: pass, DisplayName: "Ada"})
	check.NoError(t, err)
	if err := w.accept(t, code, newPass); reason(err) != "EMAIL_TAKEN" {
		t.Errorf("accepted: %v", err)
	}
	w.wantSignIn(t, pass, "")
	w.invite(t, 2)
	told := w.letter(t, 2)
	if told.To != email || told.Language != "de" || strings.Contains(told.Text, "code=") || strings.Contains(told.HTML, "code=") {
		t.Errorf("told %+v", told)
	}
	if err := w.accept(t, code, newPass); reason(err) != "INVALID_MAILED_CODE" {
		t.Errorf("the older code: %v", err)
	}
}

// An invitation beyond the limit of mails is refused, so that Identity keeps it due, and mailed
// when there is room again.
func TestAnInvitationBeyondTheLimitIsNotLost(t *testing.T) {
	w := newInviting(t)
	for n := range int64(mail.MostAsked) {
		w.invite(t, n+1)
	}
	over := login.Invitation{UserID: w.userID, Email: email, Revision: mail.MostAsked + 1}
	again := func() error { return w.Invite(postgrestest.Request(t.Context(), "auth.invitation_mailed"), over) }
	if err := again(); reason(err) != "MAIL_LIMIT_REACHED" {
		t.Errorf("over the limit: %v", err)
	}
	w.letter(t, mail.MostAsked)
	w.now = w.now.Add(mail.Window)
	check.NoError(t, again())
	w.letter(t, mail.MostAsked+1)
}

// Without mail nobody is invited, and nothing is stored.
func TestNoInvitationWithoutMail(t *testing.T) {
	w := newWorld(t)
	if reason(w.CanInvite()) != "MAIL_NOT_CONFIGURED" {
		t.Error("can invite")
	}
	err := w.Invite(postgrestest.Request(t.Context(), "auth.invitation_mailed"), login.Invitation{UserID: uuid.NewString(), Email: email, Revision: 1})
	if reason(err) != "MAIL_NOT_CONFIGURED" || len(w.Recorded(t)) != 0 {
		t.Errorf("%v, recorded %v", err, w.Recorded(t))
	}
}
