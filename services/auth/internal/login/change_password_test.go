package login_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

const newPass = "a new and quite different phrase"

// signedIn makes an active login with two sessions.
func (w *world) signedIn(t *testing.T) (userID string, first, second session.Session) {
	t.Helper()
	u, err := w.signUp(pass)
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range []*session.Session{&first, &second} {
		*n = session.Session{
			ID: uuid.NewString(), UserID: u.ID, Family: [32]byte{byte(i + 1)}, AuthTime: w.now, CreateTime: w.now, RefreshTime: w.now,
			ExpireTime: w.now.Add(time.Hour),
		}
		check.NoError(t, w.Sessions.Start(t.Context(), *n, postgrestest.Event("auth.signed_in")))
	}
	return u.ID, first, second
}

func (w *world) change(ctx context.Context, userID, old, fresh, keep string) error {
	_, err := w.ChangePassword(ctx, login.PasswordChange{UserID: userID, Old: old, New: fresh, Keep: keep, Event: postgrestest.Event("auth.asked")})
	return err
}

func TestChangePassword(t *testing.T) { // R5, R22, R66
	w := newWorld(t)
	userID, kept, other := w.signedIn(t)
	before := len(w.Recorded(t))
	check.NoError(t, w.change(t.Context(), userID, pass, newPass, kept.ID))
	if _, _, err := w.Authenticate(signingUp(t.Context()), login.Credentials{Email: email, Password: pass}); apierr.From(err).Reason != "INVALID_CREDENTIALS" {
		t.Errorf("the old password: %v", err)
	}
	if _, _, err := w.Authenticate(signingUp(t.Context()), login.Credentials{Email: email, Password: newPass}); err != nil {
		t.Errorf("the new password: %v", err)
	}
	if _, err := w.Sessions.Get(t.Context(), kept.ID); err != nil {
		t.Errorf("the session that asked: %v", err)
	}
	if _, err := w.Sessions.Get(t.Context(), other.ID); err == nil {
		t.Error("another session goes on")
	}
	events := w.Recorded(t)[before:]
	if len(events) != 1 || events[0].Action != "auth.password_changed" || events[0].ObjectID != userID || events[0].OrganizationID == "" || len(events[0].Changes) != 0 {
		t.Errorf("events = %+v", events)
	}
}

func TestRefusedPasswordChangesChangeNothing(t *testing.T) { // R4, R5
	w := newWorld(t)
	userID, kept, other := w.signedIn(t)
	before := len(w.Recorded(t))
	for name, c := range map[string]struct{ user, old, fresh, reason string }{
		"a wrong old password":     {userID, pass + "!", newPass, "INVALID_CREDENTIALS"},
		"the new one as the old":   {userID, newPass, newPass, "INVALID_CREDENTIALS"},
		"of somebody without one":  {uuid.NewString(), pass, newPass, "INVALID_CREDENTIALS"},
		"too short":                {userID, pass, "short", "PASSWORD_REFUSED"},
		"the address":              {userID, pass, email, "PASSWORD_REFUSED"},
		"wrong, and a refused one": {userID, "wrong", "short", "INVALID_CREDENTIALS"},
	} {
		err := w.change(t.Context(), c.user, c.old, c.fresh, kept.ID)
		if err == nil || apierr.From(err).Reason != c.reason {
			t.Errorf("%s: %v, want %s", name, err, c.reason)
			continue
		}
		e, tried := event.AttemptOf(err)
		if want := c.reason == "INVALID_CREDENTIALS"; tried != want || want && (e.Action != "auth.password_changed" || e.ObjectID != c.user) {
			t.Errorf("%s: what is recorded is %+v, %v", name, e, tried)
		}
	}
	if _, _, err := w.Authenticate(signingUp(t.Context()), login.Credentials{Email: email, Password: pass}); err != nil {
		t.Errorf("the password: %v", err)
	}
	if _, err := w.Sessions.Get(t.Context(), other.ID); err != nil || len(w.Recorded(t)) != before {
		t.Errorf("another session: %v; events %+v", err, w.Recorded(t)[before:])
	}
}
