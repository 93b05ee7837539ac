package login_test

import (
	"testing"

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
