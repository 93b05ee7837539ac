// Package factortest is the conformance suite of factor.Store: what its comments promise, checked
// against a real implementation.
package factortest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/services/auth/internal/factor"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

// Database is an empty database.
type Database struct {
	Store    factor.Store
	Sessions session.Store
	// Login makes an active login with the password hash "$hash", and returns its user and
	// organization.
	Login func(t *testing.T) (userID, organizationID string)
	// Recorded returns what was recorded for Audit so far, in order.
	Recorded func(t *testing.T) []event.Event
}

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Run runs the suite; open gives each test an empty database.
func Run(t *testing.T, open func(t *testing.T) Database) {
	t.Run("a factor is enrolled, replaced and removed", func(t *testing.T) { life(t, open(t)) })
	t.Run("what was made for another revision or password changes nothing", func(t *testing.T) { stale(t, open(t)) })
	t.Run("enrolling ends the other sessions", func(t *testing.T) { ends(t, open(t)) })
	t.Run("a step is taken once", func(t *testing.T) { stepOnce(t, open(t)) })
	t.Run("a recovery code is used once", func(t *testing.T) { codeOnce(t, open(t)) })
	t.Run("no session begins past the factor", func(t *testing.T) { noWayPast(t, open(t)) })
	t.Run("nothing changes without an event", func(t *testing.T) { unrecorded(t, open(t)) })
	t.Run("what an organization requires", func(t *testing.T) { policy(t, open(t)) })
	t.Run("each policy that is due is looked at by one caller", func(t *testing.T) { claimPolicies(t, open(t)) })
	t.Run("a policy that was set meanwhile is not dropped", func(t *testing.T) { dropPolicy(t, open(t)) })
	t.Run("reseal changes what it is told", func(t *testing.T) { reseal(t, open(t)) })
}

func request(userID string) event.Event {
	return event.Event{
		Source: "auth", Caller: "gateway", Action: "auth.tested", Method: "gatehouse.auth.v1.AuthService/SignIn", Outcome: event.Success,
		Actor: event.Actor{Type: event.User, ID: userID}, ObjectType: "user", ObjectID: userID, RequestID: "request-1",
	}
}

func hash(b byte) (h factor.CodeHash) {
	h[0] = b
	return h
}

func enrolled(userID string, revision int64) factor.Enrolled {
	return factor.Enrolled{
		UserID: userID, Revision: revision, PasswordHash: "$hash", Sealed: []byte("sealed"), Step: 7, Codes: []factor.CodeHash{hash(1), hash(2)},
		Time: epoch, RevokedUntil: epoch.Add(time.Hour),
	}
}

func enrol(t *testing.T, d Database, userID string, revision int64) int64 {
	t.Helper()
	next, err := d.Store.Enrol(t.Context(), enrolled(userID, revision), request(userID))
	if err != nil || next <= revision {
		t.Fatalf("Enrol = %d, %v", next, err)
	}
	return next
}

func person(t *testing.T, d Database, userID string) factor.Person {
	t.Helper()
	p, err := d.Store.Person(t.Context(), userID)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func wantNotFound(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, factor.ErrNotFound) {
		t.Errorf("%s: %v, want ErrNotFound", what, err)
	}
}

func life(t *testing.T, d Database) {
	ctx := t.Context()
	user, organization := d.Login(t)
	if p := person(t, d, user); p.Enrolled() || p.Revision != 0 || p.OrganizationID != organization || p.PasswordHash != "$hash" {
		t.Fatalf("at first: %+v", p)
	}
	_, err := d.Store.Person(ctx, uuid.NewString())
	wantNotFound(t, "nobody", err)
	first := enrol(t, d, user, 0)
	if p := person(t, d, user); !p.Enrolled() || p.Revision != first || p.LastStep != 7 || p.Codes != 2 || !p.EnrolTime.Equal(epoch) {
		t.Fatalf("enrolled: %+v", p)
	}
	if err := d.Store.ReplaceCodes(ctx, user, first, []factor.CodeHash{hash(3)}, nil, request(user)); err != nil {
		t.Fatal(err)
	}
	for b, want := range map[byte]bool{1: false, 2: false, 3: true} {
		if ok, err := d.Store.HasCode(ctx, user, hash(b)); err != nil || ok != want {
			t.Errorf("code %d is good: %t, %v", b, ok, err)
		}
	}
	second := enrol(t, d, user, first)
	if p := person(t, d, user); p.Codes != 2 {
		t.Errorf("replaced: %+v", p)
	}
	if err := d.Store.Remove(ctx, user, second, nil, request(user)); err != nil {
		t.Fatal(err)
	}
	if p := person(t, d, user); p.Enrolled() || p.Codes != 0 || p.Revision <= second {
		t.Errorf("removed: %+v", p)
	}
	if n := len(d.Recorded(t)); n != 5 { // the login, two enrolments, the codes, the removal
		t.Errorf("%d events", n)
	}
}

func stale(t *testing.T, d Database) {
	ctx := t.Context()
	user, _ := d.Login(t)
	other := enrolled(user, 0)
	other.PasswordHash = "$another"
	_, err := d.Store.Enrol(ctx, other, request(user))
	wantNotFound(t, "another password", err)
	_, err = d.Store.Enrol(ctx, enrolled(uuid.NewString(), 0), request(user))
	wantNotFound(t, "nobody", err)
	first := enrol(t, d, user, 0)
	before := len(d.Recorded(t))
	_, err = d.Store.Enrol(ctx, enrolled(user, 0), request(user))
	wantNotFound(t, "enrolled meanwhile", err)
	wantNotFound(t, "step", d.Store.UseStep(ctx, user, first+1, 8))
	wantNotFound(t, "code", d.Store.UseCode(ctx, user, first+1, hash(1), nil, request(user)))
	wantNotFound(t, "codes", d.Store.ReplaceCodes(ctx, user, first+1, nil, nil, request(user)))
	wantNotFound(t, "removal", d.Store.Remove(ctx, user, first+1, nil, request(user)))
	if p := person(t, d, user); p.Revision != first || p.Codes != 2 || p.LastStep != 7 || len(d.Recorded(t)) != before {
		t.Errorf("something has changed: %+v", p)
	}
}

func sessionOf(userID string, shown int64) session.Session {
	return session.Session{
		ID: uuid.NewString(), UserID: userID, Family: [32]byte([]byte(uuid.NewString() + uuid.NewString())[:32]), AuthTime: epoch, AMR: []string{"pwd"},
		CreateTime: epoch, RefreshTime: epoch, ExpireTime: epoch.Add(time.Hour), ProvenBy: "$hash", Factor: shown,
	}
}

func ends(t *testing.T, d Database) {
	ctx := t.Context()
	user, _ := d.Login(t)
	mine, kept := sessionOf(user, 0), sessionOf(user, 0)
	for _, n := range []session.Session{mine, kept} {
		if err := d.Sessions.Start(ctx, n, request(user)); err != nil {
			t.Fatal(err)
		}
	}
	n := enrolled(user, 0)
	n.Keep = kept.ID
	if _, err := d.Store.Enrol(ctx, n, request(user)); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Sessions.Get(ctx, mine.ID); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("the other session: %v", err)
	}
	if _, err := d.Sessions.Get(ctx, kept.ID); err != nil {
		t.Errorf("the session that stays: %v", err)
	}
	revoked, _, err := d.Sessions.Revocations(ctx, 0, epoch)
	if err != nil || len(revoked) != 1 || revoked[0].SessionID != mine.ID {
		t.Errorf("revoked %v, %v", revoked, err)
	}
}

func unrecorded(t *testing.T, d Database) { // R68
	ctx := t.Context()
	user, organization := d.Login(t)
	revision := enrol(t, d, user, 0)
	for name, err := range map[string]error{
		"enrol":   func() error { _, err := d.Store.Enrol(ctx, enrolled(user, revision), event.Event{}); return err }(),
		"code":    d.Store.UseCode(ctx, user, revision, hash(1), nil, event.Event{}),
		"codes":   d.Store.ReplaceCodes(ctx, user, revision, nil, nil, event.Event{}),
		"remove":  d.Store.Remove(ctx, user, revision, nil, event.Event{}),
		"policy":  d.Store.SetPolicy(ctx, factor.Policy{OrganizationID: organization, SecondFactorRequired: true, UpdateTime: epoch}, event.Event{}),
		"nothing": d.Store.Record(ctx, event.Event{}),
	} {
		if err == nil || errors.Is(err, factor.ErrNotFound) {
			t.Errorf("%s without an event: %v, want a refusal", name, err)
		}
	}
	if p := person(t, d, user); p.Revision != revision || p.Codes != 2 || p.IsRequired {
		t.Errorf("something has changed: %+v", p)
	}
}

func policy(t *testing.T, d Database) {
	ctx := t.Context()
	user, organization := d.Login(t)
	for _, required := range []bool{true, false} {
		want := factor.Policy{OrganizationID: organization, SecondFactorRequired: required, UpdateTime: epoch}
		if err := d.Store.SetPolicy(ctx, want, request(user)); err != nil {
			t.Fatal(err)
		}
		got, err := d.Store.Policy(ctx, organization)
		if err != nil || got.SecondFactorRequired != required || !got.UpdateTime.Equal(epoch) {
			t.Errorf("Policy = %+v, %v", got, err)
		}
		if p := person(t, d, user); p.IsRequired != required {
			t.Errorf("required of its member: %t", p.IsRequired)
		}
	}
	if got, err := d.Store.Policy(ctx, uuid.NewString()); err != nil || got.SecondFactorRequired {
		t.Errorf("of one that never said: %+v, %v", got, err)
	}
}

func reseal(t *testing.T, d Database) {
	one, _ := d.Login(t)
	two, _ := d.Login(t)
	enrol(t, d, one, 0)
	enrol(t, d, two, 0)
	changed, err := d.Store.Reseal(t.Context(), func(userID string, sealed []byte) ([]byte, error) {
		if userID == one {
			return append(sealed, '!'), nil
		}
		return nil, nil
	})
	if err != nil || changed != 1 || string(person(t, d, one).Sealed) != "sealed!" || string(person(t, d, two).Sealed) != "sealed" {
		t.Errorf("%d changed, %v", changed, err)
	}
	_, err = d.Store.Reseal(t.Context(), func(string, []byte) ([]byte, error) { return []byte("half"), errors.ErrUnsupported })
	if err == nil || string(person(t, d, two).Sealed) != "sealed" {
		t.Errorf("a failure kept a part: %v", err)
	}
}
