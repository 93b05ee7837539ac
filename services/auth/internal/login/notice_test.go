package login_test

import (
	"testing"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/postgrestest"
)

// R17: whoever has a login is told that its password was changed, in their language, once it is;
// of a change that is refused nobody is told.
func TestAChangeOfThePasswordIsTold(t *testing.T) {
	w := newWorld(t)
	userID, _, _ := w.signedIn(t)
	office := w.mailing(t)
	for _, refused := range []login.PasswordChange{{Old: "not the password at all", New: newPass}, {Old: pass, New: "short"}} {
		refused.UserID, refused.Event = userID, postgrestest.Event("auth.asked")
		if _, err := w.ChangePassword(t.Context(), refused); err == nil {
			t.Fatal("changed")
		}
	}
	if told := office.Read(t, w.Mails); len(told) != 0 {
		t.Errorf("told: %+v", told)
	}
	_, err := w.ChangePassword(t.Context(), login.PasswordChange{
		UserID: userID, Old: pass, New: newPass, Accept: "de-CH, en;q=0.8", Event: postgrestest.Event("auth.asked"),
	})
	check.NoError(t, err)
	told := office.Read(t, w.Mails)
	if len(told) != 1 || told[0].To != email || told[0].Language != "de" || told[0].Subject != "Ihr Passwort wurde geändert" {
		t.Errorf("told: %+v", told)
	}
}

// An address that had as many mails as it may have is not told, and its password is changed all the
// same.
func TestTheLimitOfMailsHoldsUpNoChange(t *testing.T) {
	w := newWorld(t)
	userID, _, _ := w.signedIn(t)
	office := w.mailing(t)
	const changes = 7
	passwords := [2]string{pass, newPass}
	for i := range changes {
		check.NoError(t, w.change(t.Context(), userID, passwords[i%2], passwords[(i+1)%2], ""))
	}
	if told := office.Read(t, w.Mails); len(told) != 5 {
		t.Errorf("%d mails about %d changes, want 5", len(told), changes)
	}
}

// Whoever could sign in is told of a suspension and of its end, once each, in the language in which
// they signed up.
func TestASuspensionIsTold(t *testing.T) { // R17
	w := newWorld(t)
	office := w.mailing(t)
	code := w.asked(t, office, pass)
	ctx := postgrestest.Request(t.Context(), "auth.tested")
	_, err := w.VerifyEmail(ctx, login.Verification{Code: code, Password: pass, Accept: "de-CH, en;q=0.8"})
	check.NoError(t, err)
	l, err := w.store.ByEmail(t.Context(), email)
	check.NoError(t, err)
	office.Read(t, w.Mails)
	for _, step := range []struct {
		suspend  bool
		revision int64
		want     string // "" is nothing
	}{
		{false, 2, ""}, {true, 3, "Ihr Konto wurde gesperrt"}, {true, 3, ""}, {false, 2, ""}, {true, 4, ""}, {false, 5, "Sie können Ihr Konto wieder benutzen"}, {false, 5, ""}, {true, 4, ""},
	} {
		if step.suspend {
			err = w.Suspend(ctx, l.UserID, step.revision)
		} else {
			err = w.Restore(ctx, l.UserID, step.revision)
		}
		check.NoError(t, err)
		told := office.Read(t, w.Mails)
		if step.want == "" && len(told) != 0 || step.want != "" && (len(told) != 1 || told[0].To != email || told[0].Subject != step.want) {
			t.Errorf("%+v: told %+v", step, told)
		}
	}
	check.NoError(t, w.Suspend(ctx, uuid.NewString(), 2))
	check.NoError(t, w.Remove(ctx, l.UserID))
	check.NoError(t, w.Suspend(ctx, l.UserID, 6))
	if told := office.Read(t, w.Mails); len(told) != 0 {
		t.Errorf("of users without a login: %+v", told)
	}
}

// Nobody is told of a login that was not theirs yet.
func TestASuspensionOfAPendingLoginIsNotTold(t *testing.T) {
	w := newWorld(t)
	w.identity.fail(apierr.New(apierr.Unavailable, "DOWN", "down"), nil)
	if _, err := w.signUp(pass); err == nil {
		t.Fatal("the login is not pending")
	}
	l, err := w.store.ByEmail(t.Context(), email)
	check.NoError(t, err)
	office := w.mailing(t)
	ctx := postgrestest.Request(t.Context(), "auth.tested")
	check.NoError(t, w.Suspend(ctx, l.UserID, 2))
	check.NoError(t, w.Restore(ctx, l.UserID, 3))
	if told := office.Read(t, w.Mails); len(told) != 0 {
		t.Errorf("told %+v", told)
	}
}

// The language is that of the newest password, and stays where none is said.
func TestTheLanguageOfALoginFollowsItsPassword(t *testing.T) {
	w := newWorld(t)
	office := w.mailing(t)
	_, err := w.VerifyEmail(postgrestest.Request(t.Context(), "auth.tested"), login.Verification{Code: w.asked(t, office, pass), Password: pass, Accept: "de"})
	check.NoError(t, err)
	l, err := w.store.ByEmail(t.Context(), email)
	check.NoError(t, err)
	passwords := [2]string{pass, newPass}
	for i, step := range []struct{ accept, want string }{{"", "de"}, {"fr", "de"}, {"en-GB", "en"}, {"de, en;q=0.1", "de"}} {
		_, err := w.ChangePassword(t.Context(), login.PasswordChange{
			UserID: l.UserID, Old: passwords[i%2], New: passwords[(i+1)%2], Accept: step.accept, Event: postgrestest.Event("auth.asked"),
		})
		check.NoError(t, err)
		if l, err := w.store.ByUser(t.Context(), l.UserID); err != nil || l.Language != step.want {
			t.Errorf("after %q: %q, %v; want %q", step.accept, l.Language, err, step.want)
		}
	}
}
