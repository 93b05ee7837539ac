package session_test

import (
	"errors"
	"testing"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/auth/internal/factor"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

// require says whether the world's organization requires a second factor.
func (w *world) require(t *testing.T, required bool) {
	t.Helper()
	check.NoError(t, w.Factors.SetPolicy(t.Context(), factor.Policy{OrganizationID: w.org, SecondFactorRequired: required, UpdateTime: w.now},
		postgrestest.Event("auth.sign_in_policy_set")))
}

// Once an organization requires a second factor, sessions of who has none go no further: a
// browser's is worth nothing, and another one ends at its refresh, which the trail explains.
// Whoever has a factor stays signed in.
func TestSessionsWithoutARequiredFactor(t *testing.T) {
	w := newWorld(t)
	browsers := w.browsers()
	cookie, _ := w.begin(t, browsers, "")
	first, second := w.start(t), w.start(t)
	second, err := w.Refresh(refresh(t.Context()), second.Refresh)
	check.NoError(t, err)
	w.require(t, true)
	for range 2 {
		_, err := w.Refresh(refresh(t.Context()), first.Refresh)
		if apierr.From(err).Reason != "INVALID_REFRESH_TOKEN" {
			t.Errorf("a refresh answers %v", err)
		}
	}
	if _, err := browsers.Find(t.Context(), cookie); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("the browser session answers %v", err)
	}
	causes := 0
	for _, e := range w.Recorded(t) {
		if e.Action != "auth.session_ended" {
			continue
		}
		for _, c := range e.Changes {
			if string(c.Value) == `"SECOND_FACTOR_MISSING"` && e.ObjectID == w.userID {
				causes++
			}
		}
	}
	if causes != 1 {
		t.Errorf("%d sessions ended for want of a factor, want one", causes)
	}
	_, err = w.Pool.Exec(t.Context(), `update auth.logins set second_factor = true where user_id = $1`, w.userID)
	check.NoError(t, err)
	if second, err = w.Refresh(refresh(t.Context()), second.Refresh); err != nil {
		t.Errorf("of who has a factor: %v", err)
	}
	if _, err := browsers.Find(t.Context(), cookie); err != nil {
		t.Errorf("of who has a factor: %v", err)
	}
	_, err = w.Pool.Exec(t.Context(), `update auth.logins set second_factor = false where user_id = $1`, w.userID)
	check.NoError(t, err)
	w.require(t, false)
	if _, err = w.Refresh(refresh(t.Context()), second.Refresh); err != nil {
		t.Errorf("where none is required any more: %v", err)
	}
}
