package reset_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/auth/internal/factor"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/auth/internal/proof"
	"github.com/gatehouse/gatehouse/services/auth/internal/reset"
	"github.com/gatehouse/gatehouse/services/auth/internal/throttle"
)

// enrol gives a user a second factor, and the clock a minute.
func (w *world) enrol(t *testing.T, userID string) (secret string, recovery []string) {
	t.Helper()
	e, err := w.factors.Offer(t.Context(), userID)
	check.NoError(t, err)
	code, err := totp.GenerateCode(e.Secret, w.now)
	check.NoError(t, err)
	recovery, err = w.factors.Confirm(t.Context(), factor.Change{UserID: userID, Event: postgrestest.Event("auth.tested")}, e.Token, code)
	check.NoError(t, err)
	w.now = w.now.Add(time.Minute)
	return e.Secret, recovery
}

func (w *world) shows(ctx context.Context, code proof.Code, g factor.Given) string {
	return reasonOf(w.Reset(ctx, reset.Reset{Code: code, NewPassword: newPass, Factor: g, Event: postgrestest.Event("auth.password_reset")}))
}

// Who reads the mails of a person has not got their second factor: without it, or with a wrong one,
// nothing changes, and the code stays good. A code of either kind that was right works once.
func TestAResetAsksForTheSecondFactor(t *testing.T) { // R13, R15
	w := newWorld(t)
	userID := w.signedUp(t, ada, true)
	secret, recovery := w.enrol(t, userID)
	code := w.asked(t, ada)
	if found, err := w.Find(t.Context(), code); err != nil || !found.SecondFactor {
		t.Fatalf("Find = %+v, %v; want the second factor asked for", found, err)
	}
	right, err := totp.GenerateCode(secret, w.now)
	check.NoError(t, err)
	const refused = "INVALID_SECOND_FACTOR"
	for name, g := range map[string]factor.Given{
		"none": {}, "a wrong code": {Code: "000000"}, "a wrong recovery code": {RecoveryCode: "AAAA-AAAA-AAAA-AAAA-AAAA-AAAA"}, "both": {Code: right, RecoveryCode: recovery[0]},
	} {
		if got := w.shows(t.Context(), code, g); got != refused || !w.signsIn(t, ada, pass) {
			t.Errorf("%s: %q, want %s and nothing changed", name, got, refused)
		}
	}
	if got := w.shows(t.Context(), code, factor.Given{Code: right}); got != "" {
		t.Fatal(got)
	}
	next := w.asked(t, ada)
	if got := w.shows(t.Context(), next, factor.Given{Code: right}); got != refused {
		t.Errorf("the same code again: %q", got)
	}
	if got := w.shows(t.Context(), next, factor.Given{RecoveryCode: recovery[0]}); got != "" {
		t.Errorf("a recovery code: %q", got)
	}
	if s, err := w.factors.Status(t.Context(), userID); err != nil || !s.Enrolled || s.Codes != 9 {
		t.Errorf("afterwards there is %+v, %v", s, err)
	}
}

// Guesses of the second factor with a code of the mail have to wait like those of a sign-in.
func TestGuessesOfTheSecondFactorWait(t *testing.T) { // R7
	w := newWorld(t)
	secret, _ := w.enrol(t, w.signedUp(t, ada, true))
	code := w.asked(t, ada)
	for range throttle.FreeFailures {
		w.shows(t.Context(), code, factor.Given{Code: "000000"})
	}
	right, err := totp.GenerateCode(secret, w.now)
	check.NoError(t, err)
	if got := w.shows(t.Context(), code, factor.Given{Code: right}); got != "INVALID_SECOND_FACTOR" {
		t.Errorf("the right code while guesses wait: %q", got)
	}
	w.now = w.now.Add(throttle.FirstWait)
	right, err = totp.GenerateCode(secret, w.now)
	check.NoError(t, err)
	if got := w.shows(t.Context(), code, factor.Given{Code: right}); got != "" {
		t.Errorf("after the wait: %q", got)
	}
}

// Two uses of one mailed code with a recovery code each are one reset.
func TestTwoResetsAtOnceWithASecondFactor(t *testing.T) {
	w := newWorld(t)
	_, recovery := w.enrol(t, w.signedUp(t, ada, true))
	code := w.asked(t, ada)
	var both sync.WaitGroup
	outcomes := make([]string, 2)
	for i := range outcomes {
		both.Go(func() {
			outcomes[i] = w.shows(context.Background(), code, factor.Given{RecoveryCode: recovery[i]})
		})
	}
	both.Wait()
	if (outcomes[0] == "") == (outcomes[1] == "") {
		t.Errorf("outcomes %q, want one success", outcomes)
	}
}

// Who first proves an address is not asked for the second factor of whoever registered it, which
// goes.
func TestAFactorOfWhoeverRegisteredTheAddressGoes(t *testing.T) { // R15
	w := newWorld(t)
	userID := w.signedUp(t, ada, false)
	desk := w.factors.Desk
	w.factors.Desk = nil // before mail was configured: with it, nobody enrols one behind such an address
	w.enrol(t, userID)
	w.factors.Desk = desk
	code := w.asked(t, ada)
	if found, err := w.Find(t.Context(), code); err != nil || found.SecondFactor {
		t.Errorf("Find = %+v, %v", found, err)
	}
	if got := w.shows(t.Context(), code, factor.Given{}); got != "" {
		t.Fatal(got)
	}
	if s, err := w.factors.Status(t.Context(), userID); err != nil || s.Enrolled || s.Codes != 0 {
		t.Errorf("left is %+v, %v", s, err)
	}
}
