package logintest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
)

func changePassword(t *testing.T, s Stores) { // R5, R22
	l, other := Reserved(t, s.Logins, "ada@example.com"), Reserved(t, s.Logins, "other@example.com")
	change := func(user, old, keep string, e event.Event) error {
		return s.Logins.ChangePassword(t.Context(), login.NewHash{
			UserID: user, Old: old, Hash: "$new", Keep: keep, Time: epoch, RevokedUntil: epoch.Add(time.Hour),
		}, e)
	}
	if err := change(l.UserID, l.PasswordHash, "", request(l.UserID)); !errors.Is(err, login.ErrNotFound) {
		t.Fatalf("of a pending login: %v, want ErrNotFound", err)
	}
	activateLogin(t, s.Logins, l.UserID, uuid.NewString())
	activateLogin(t, s.Logins, other.UserID, uuid.NewString())
	mine, kept, theirs := sessionOf(l.UserID), sessionOf(l.UserID), sessionOf(other.UserID)
	for _, err := range []error{
		s.Sessions.Start(t.Context(), mine, request(l.UserID)), s.Sessions.Start(t.Context(), kept, request(l.UserID)),
		s.Sessions.Start(t.Context(), theirs, request(other.UserID)),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	before := len(s.Recorded(t))
	for name, err := range map[string]error{
		"with another old hash": change(l.UserID, "$another", kept.ID, request(l.UserID)),
		"of nobody":             change(uuid.NewString(), l.PasswordHash, "", request(l.UserID)),
	} {
		if !errors.Is(err, login.ErrNotFound) {
			t.Errorf("%s: %v, want ErrNotFound", name, err)
		}
	}
	if err := change(l.UserID, l.PasswordHash, kept.ID, event.Event{}); err == nil || errors.Is(err, login.ErrNotFound) {
		t.Errorf("without an event: %v, want a refusal (R68)", err)
	}
	if len(revoked(t, s.Sessions)) != 0 || len(s.Recorded(t)) != before {
		t.Fatal("a change that did not happen ended something, or was recorded")
	}
	if err := change(l.UserID, l.PasswordHash, kept.ID, request(l.UserID)); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Logins.ByUser(t.Context(), l.UserID); err != nil || got.PasswordHash != "$new" {
		t.Errorf("the hash is %s, %v", got.PasswordHash, err)
	}
	if ended := revoked(t, s.Sessions); len(ended) != 1 || !ended[mine.ID] {
		t.Errorf("revoked = %v, want the user's other session alone", ended)
	}
	if n := len(s.Recorded(t)) - before; n != 1 {
		t.Errorf("%d events, want one (R67)", n)
	}
}
