package logintest

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
	"github.com/gatehouse/gatehouse/services/auth/internal/proof"
)

const invitee = "grace@example.com"

func runInvitations(t *testing.T, open func(t *testing.T) Stores) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, Stores){
		"an invitation's revision only grows":          inviteRevisions,
		"of acceptances at once one reserves":          acceptAtOnce,
		"a login is not invited":                       inviteLogin,
		"sending again beside accepting leaves one":    inviteBesideAccept,
		"a removal makes the invitation worthless":     inviteRemoved,
		"an invitation over the limit replaces none":   inviteLimited,
		"a taken address keeps the code":               acceptTaken,
		"an invitation is good for a week and no more": inviteLasts,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// invited stores an invitation of a user and returns its code.
func invited(t *testing.T, s Stores, userID string, revision int64) proof.Code {
	t.Helper()
	code, err := invite(t, s, userID, revision)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func invite(t *testing.T, s Stores, userID string, revision int64) (proof.Code, error) {
	t.Helper()
	p, code := proof.New(proof.Invitation, invitee, epoch)
	p.UserID = userID
	m := &mail.Queued{
		ID: uuid.NewString(), Kind: mail.Invitation, Address: []byte(userID), Sealed: []byte("sealed"), CreateTime: epoch, ExpireTime: p.ExpireTime,
	}
	return code, s.Invitations.Invite(t.Context(), p, revision, m, request(userID))
}

// accept reserves the login of an invitation.
func accept(t *testing.T, s Stores, userID string, code proof.Code, at time.Time) error {
	t.Helper()
	l := pending(invitee)
	l.UserID, l.Invited = userID, true
	return s.Logins.ReserveProven(t.Context(), code.Hash(), l, request(userID), at, at)
}

// good reports whether a code is good still.
func good(t *testing.T, s Stores, code proof.Code) bool {
	t.Helper()
	_, err := s.Codes.Find(t.Context(), code.Hash(), epoch, proof.Invitation)
	if err != nil && !errors.Is(err, proof.ErrNotFound) {
		t.Fatal(err)
	}
	return err == nil
}

func inviteRevisions(t *testing.T, s Stores) {
	id := uuid.NewString()
	first := invited(t, s, id, 1)
	again := invited(t, s, id, 1)
	if !good(t, s, first) || good(t, s, again) {
		t.Error("repeating a revision changed the code")
	}
	third := invited(t, s, id, 3)
	late := invited(t, s, id, 2)
	if good(t, s, first) || !good(t, s, third) || good(t, s, late) {
		t.Error("the newest revision's code is not the one that is good")
	}
	recorded(t, s, id, id)
}

func acceptAtOnce(t *testing.T, s Stores) {
	id := uuid.NewString()
	code := invited(t, s, id, 1)
	check.OneOf(t, 8, proof.ErrNotFound, func(int) error { return accept(t, s, id, code, epoch) })
	claimed, err := s.Logins.Claim(t.Context(), epoch, epoch.Add(time.Hour), 10)
	if err != nil || len(claimed) != 1 || claimed[0].UserID != id || !claimed[0].Invited || claimed[0].Event.ObjectID != id {
		t.Errorf("claimed %+v, %v", claimed, err)
	}
	if _, err := s.Logins.Activate(t.Context(), login.NewActivation(request(id), id, uuid.NewString()), epoch); err != nil {
		t.Fatal(err)
	}
	if l, err := s.Logins.ByUser(t.Context(), id); err != nil || l.Invited || l.State != login.Active {
		t.Errorf("the login is %+v, %v", l, err)
	}
}

func inviteLogin(t *testing.T, s Stores) {
	id := uuid.NewString()
	if err := accept(t, s, id, invited(t, s, id, 1), epoch); err != nil {
		t.Fatal(err)
	}
	if good(t, s, invited(t, s, id, 2)) {
		t.Error("a user with a login was invited")
	}
}

func inviteBesideAccept(t *testing.T, s Stores) {
	for range 20 {
		id := uuid.NewString()
		first := invited(t, s, id, 1)
		var second proof.Code
		var accepted error
		var wait sync.WaitGroup
		wait.Go(func() { second = invited(t, s, id, 2) })
		wait.Go(func() { accepted = accept(t, s, id, first, epoch) })
		wait.Wait()
		if (accepted == nil) == good(t, s, second) {
			t.Fatalf("accepted: %v, and the second code is good: %t", accepted, good(t, s, second))
		}
		if err := s.Logins.Remove(t.Context(), id, epoch, request(id)); err != nil {
			t.Fatal(err)
		}
	}
}

func inviteRemoved(t *testing.T, s Stores) {
	id := uuid.NewString()
	code := invited(t, s, id, 1)
	if err := s.Logins.Remove(t.Context(), id, epoch, request(id)); err != nil {
		t.Fatal(err)
	}
	if good(t, s, code) {
		t.Error("the code is good after the removal")
	}
}

func inviteLimited(t *testing.T, s Stores) {
	id := uuid.NewString()
	var last proof.Code
	for n := range int64(mail.MostAsked) {
		last = invited(t, s, id, n+1)
	}
	over, err := invite(t, s, id, mail.MostAsked+1)
	if !errors.Is(err, mail.ErrLimited) {
		t.Errorf("over the limit: %v", err)
	}
	if !good(t, s, last) || good(t, s, over) {
		t.Error("a code that nobody learns took the place of one that somebody has")
	}
}

func acceptTaken(t *testing.T, s Stores) {
	id := uuid.NewString()
	code := invited(t, s, id, 1)
	if _, reserved, err := s.Logins.Reserve(t.Context(), pending(invitee), request(uuid.NewString()), epoch, epoch); err != nil || !reserved {
		t.Fatal(reserved, err)
	}
	if err := accept(t, s, id, code, epoch); !errors.Is(err, login.ErrTaken) {
		t.Errorf("accepted: %v", err)
	}
	if !good(t, s, code) {
		t.Error("the code is gone")
	}
}

func inviteLasts(t *testing.T, s Stores) {
	const week = 7 * 24 * time.Hour
	for _, c := range []struct {
		after time.Duration
		want  bool
	}{{week, false}, {week - time.Second, true}} {
		id := uuid.NewString()
		err := accept(t, s, id, invited(t, s, id, 1), epoch.Add(c.after))
		if c.want && err != nil || !c.want && !errors.Is(err, proof.ErrNotFound) {
			t.Errorf("after %s: %v", c.after, err)
		}
	}
}
