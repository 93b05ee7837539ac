package factor_test

import (
	"slices"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/services/auth/internal/factor"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/postgrestest"
)

const overtaken = "INVALID_CHALLENGE"

func (w *world) challenge(t *testing.T, p factor.Proven) factor.Challenge {
	t.Helper()
	c, err := w.Challenge(w.ctx(t.Context()), p)
	if err != nil || c == nil {
		t.Fatalf("Challenge = %v, %v", c, err)
	}
	return *c
}

func TestChallenge(t *testing.T) { // R13
	w := newWorld(t)
	ctx := w.ctx(t.Context())
	if c, err := w.Challenge(ctx, factor.Proven{UserID: w.user}); c != nil || err != nil {
		t.Fatalf("without a factor: %v, %v", c, err)
	}
	secret, codes := w.enrol(t)
	p := w.proven(true)
	p.Device = "device"
	c := w.challenge(t, p)
	if c.Enrolment != nil || !slices.Equal(c.Methods, []factor.Method{factor.TOTP, factor.Recovery}) {
		t.Errorf("%+v", c)
	}
	if asked, err := w.Asked(ctx, c.Token); err != nil || asked.Token != c.Token {
		t.Errorf("shown once more: %+v, %v", asked, err)
	}
	_, err := w.Answer(ctx, c.Token, factor.Given{Code: w.code(t, secret, 4)})
	want(t, "a wrong code", err, invalid)
	got, err := w.Answer(ctx, c.Token, factor.Given{Code: w.code(t, secret, 0)})
	if err != nil || got.UserID != w.user || got.Factor != 1 || got.PasswordHash != "$hash" || got.Device != "device" || !slices.Equal(got.AMR, []string{"pwd", "otp", "mfa"}) {
		t.Errorf("Answer = %+v, %v", got, err)
	}
	_, err = w.Answer(ctx, c.Token, factor.Given{Code: w.code(t, secret, 0)})
	want(t, "the same once more", err, invalid)
	got, err = w.Answer(ctx, w.challenge(t, w.proven(true)).Token, factor.Given{RecoveryCode: codes[0]})
	if err != nil || !slices.Equal(got.AMR, []string{"pwd", "mfa"}) {
		t.Errorf("by a recovery code: %+v, %v", got, err)
	}
	recorded := w.Recorded(t)
	if n := slices.IndexFunc(recorded, func(e event.Event) bool { return e.Action == "auth.sign_in_challenged" && e.ObjectID == w.user }); n < 0 {
		t.Error("the challenge is not recorded")
	}
}

// Each step out of order is refused, and changes nothing.
func TestChallengesOutOfOrder(t *testing.T) { // R13
	w := newWorld(t)
	ctx := w.ctx(t.Context())
	secret, codes := w.enrol(t)
	answer := func(token string, g factor.Given) error {
		_, err := w.Answer(ctx, token, g)
		return err
	}
	right := func() factor.Given { return factor.Given{Code: w.code(t, secret, 0)} }
	old := w.challenge(t, w.proven(true))
	stranger := w.proven(true)
	stranger.UserID, stranger.OrganizationID, stranger.Email = w.person(t)
	theirs := w.challenge(t, stranger)
	offered, err := w.Offer(ctx, w.user)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "of somebody else", answer(theirs.Token, right()), overtaken)
	want(t, "an enrolment's token", answer(offered.Token, right()), overtaken)
	_, err = w.Confirm(ctx, w.change(), old.Token, w.code(t, secret, 0))
	want(t, "a challenge's token as an enrolment", err, "INVALID_ENROLMENT")
	want(t, "none", answer("", right()), overtaken)
	want(t, "sealed by another key", func() error { _, err := w.with(9).Answer(ctx, old.Token, right()); return err }(), overtaken)
	w.now = w.now.Add(factor.ChallengeLasts)
	want(t, "expired", answer(old.Token, right()), overtaken)
	before := w.challenge(t, w.proven(true))
	err = w.Logins.ChangePassword(ctx, login.NewHash{UserID: w.user, Old: "$hash", Hash: "$new", Time: w.now, RevokedUntil: w.now}, postgrestest.Event("auth.password_changed"))
	if err != nil {
		t.Fatal(err)
	}
	want(t, "of before the password change", answer(before.Token, right()), overtaken)
	p := w.proven(true)
	p.PasswordHash = "$new"
	removed := w.challenge(t, p)
	if err := w.Remove(ctx, w.change()); err != nil {
		t.Fatal(err)
	}
	want(t, "after the removal", answer(removed.Token, right()), overtaken)
	want(t, "with a recovery code", answer(removed.Token, factor.Given{RecoveryCode: codes[0]}), overtaken)
	w.enrol(t)
	want(t, "after another enrolment", answer(removed.Token, right()), overtaken)
}

// Who has to enrol does so in the challenge, once.
func TestChallengeThatEnrols(t *testing.T) { // R13
	w := newWorld(t)
	ctx := w.ctx(t.Context())
	p := w.proven(false)
	p.Revision = 0
	c, other := w.challenge(t, p), w.challenge(t, p)
	if c.Enrolment == nil || c.Enrolment.Token != c.Token || !slices.Equal(c.Methods, []factor.Method{factor.TOTP}) {
		t.Fatalf("%+v", c)
	}
	if asked, err := w.Asked(ctx, c.Token); err != nil || *asked.Enrolment != *c.Enrolment {
		t.Errorf("shown once more: %+v, %v", asked, err)
	}
	_, err := w.Answer(ctx, c.Token, factor.Given{Code: w.code(t, c.Enrolment.Secret, 7)})
	want(t, "a wrong code", err, invalid)
	_, err = w.Answer(ctx, c.Token, factor.Given{RecoveryCode: "AAAA"})
	want(t, "a recovery code", err, invalid)
	if s, _ := w.Status(ctx, w.user); s.Enrolled {
		t.Fatal("a refused code has enrolled")
	}
	got, err := w.Answer(ctx, c.Token, factor.Given{Code: w.code(t, c.Enrolment.Secret, 0)})
	if err != nil || got.Factor != 1 || len(got.RecoveryCodes) != 10 {
		t.Fatalf("Answer = %+v, %v", got, err)
	}
	want(t, "the other one", func() error {
		_, err := w.Answer(ctx, other.Token, factor.Given{Code: w.code(t, other.Enrolment.Secret, 0)})
		return err
	}(), overtaken)
	w.now = w.now.Add(time.Minute)
	got, err = w.Answer(ctx, w.challenge(t, w.proven(true)).Token, factor.Given{Code: w.code(t, c.Enrolment.Secret, 0)})
	if err != nil || got.Factor != 1 || got.RecoveryCodes != nil {
		t.Errorf("the next sign-in: %+v, %v", got, err)
	}
}
