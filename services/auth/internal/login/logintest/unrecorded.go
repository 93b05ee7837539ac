package logintest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

// unrecorded tries every change without an event: none may happen (R68).
func unrecorded(t *testing.T, s Stores) {
	ctx := t.Context()
	waiting, active := Reserved(t, s.Logins, "waiting@example.com"), Reserved(t, s.Logins, "active@example.com")
	activateLogin(t, s.Logins, active.UserID, uuid.NewString())
	active, err := s.Logins.ByEmail(ctx, "active@example.com")
	if err != nil {
		t.Fatal(err)
	}
	n := sessionOf(active.UserID)
	if err := s.Sessions.Start(ctx, n, request(active.UserID)); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func() error{
		"reserve": func() error {
			_, _, err := s.Logins.Reserve(ctx, pending("new@example.com"), event.Event{}, epoch, epoch)
			return err
		},
		"activate": func() error {
			_, err := s.Logins.Activate(ctx, login.NewActivation(event.Event{}, waiting.UserID, uuid.NewString()), epoch)
			return err
		},
		"replace hash": func() error {
			return s.Logins.ReplaceHash(ctx, active.UserID, active.PasswordHash, "$other", epoch, event.Event{})
		},
		"remove": func() error { return s.Logins.Remove(ctx, active.UserID, epoch, event.Event{}) },
		"start":  func() error { return s.Sessions.Start(ctx, sessionOf(active.UserID), event.Event{}) },
		"refresh": func() error {
			return s.Sessions.Refresh(ctx, n.Family, func(session.Session) session.Decision {
				return session.Decision{Rotate: &session.Rotation{Token: [32]byte{7}, RefreshTime: epoch.Add(time.Minute)}}
			})
		},
		"end": func() error {
			return s.Sessions.End(ctx, active.UserID, session.Revocation{SessionID: n.ID, ExpireTime: epoch.Add(time.Hour)}, event.Event{})
		},
	} {
		if err := change(); err == nil || errors.Is(err, login.ErrNotFound) || errors.Is(err, session.ErrNotFound) {
			t.Errorf("%s without an event: %v, want a refusal", name, err)
		}
	}
	missing(t, s.Logins, "new@example.com")
	find(t, s.Logins, "waiting@example.com", waiting)
	find(t, s.Logins, "active@example.com", active)
	recorded(t, s, active.UserID, active.UserID) // the activation and the session
	err = s.Sessions.Refresh(ctx, n.Family, func(found session.Session) session.Decision {
		if found.Token != n.Token {
			t.Error("the refresh token was changed")
		}
		return session.Decision{}
	})
	if err != nil {
		t.Errorf("the session is gone: %v", err)
	}
}
