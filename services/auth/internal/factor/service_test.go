package factor_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/pquerna/otp/totp"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/services/auth/internal/factor"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/auth/internal/seal"
	"github.com/gatehouse/gatehouse/services/auth/internal/throttle"
)

// world is one Auth with its database, and one person.
type world struct {
	*factor.Service
	*postgrestest.Database
	user, organization, email string
	now                       time.Time
	ended                     int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{Database: postgrestest.Open(t), now: time.Unix(1_800_000_000, 0)}
	w.user, w.organization, w.email = w.person(t)
	w.Service = w.with(1)
	return w
}

// person makes a login with the password hash "$hash".
func (w *world) person(t *testing.T) (userID, organizationID, email string) {
	t.Helper()
	signedUp := postgrestest.Event("auth.signed_up")
	userID, organizationID = uuid.NewString(), uuid.NewString()
	email = userID[:8] + "@example.com"
	if _, _, err := w.Logins.Reserve(t.Context(), login.Login{UserID: userID, Email: email, PasswordHash: "$hash"}, signedUp, w.now, w.now); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Logins.Activate(t.Context(), login.NewActivation(signedUp, userID, organizationID), w.now); err != nil {
		t.Fatal(err)
	}
	return userID, organizationID, email
}

// with is another instance, whose sealing key is made of a byte.
func (w *world) with(key byte) *factor.Service {
	box := func(purpose string) *seal.Box { return seal.NewBox(purpose, bytes.Repeat([]byte{key}, 32), nil, nil) }
	return factor.NewService(factor.Params{
		Store: w.Factors, Secrets: box(factor.SecretPurpose), Tokens: box(factor.TokenPurpose), Throttle: w.Throttled(func() time.Time { return w.now }),
		Site: "login.example.com", RevocationPeriod: time.Hour, Now: func() time.Time { return w.now }, Wake: func() { w.ended++ }, Log: slog.New(slog.DiscardHandler),
	})
}

func (w *world) ctx(ctx context.Context) context.Context {
	return postgrestest.Request(ctx, "auth.signed_in")
}

func (w *world) change() factor.Change {
	return factor.Change{UserID: w.user, Event: postgrestest.Event("auth.tested")}
}

// code is what the authenticator with a secret shows so many steps from now.
func (w *world) code(t *testing.T, secret string, steps int) string {
	t.Helper()
	text, err := totp.GenerateCode(secret, w.now.Add(time.Duration(steps)*30*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// enrol enrols an authenticator, a minute ago.
func (w *world) enrol(t *testing.T) (secret string, codes []string) {
	t.Helper()
	e, err := w.Offer(t.Context(), w.user)
	if err != nil {
		t.Fatal(err)
	}
	codes, err = w.Confirm(w.ctx(t.Context()), w.change(), e.Token, w.code(t, e.Secret, 0))
	if err != nil || len(codes) != 10 {
		t.Fatalf("Confirm = %d codes, %v", len(codes), err)
	}
	w.now = w.now.Add(time.Minute)
	return e.Secret, codes
}

func reason(err error) string {
	if err == nil {
		return ""
	}
	return apierr.From(err).Reason
}

func want(t *testing.T, what string, err error, reasoned string) {
	t.Helper()
	if reason(err) != reasoned {
		t.Errorf("%s: %v, want %q", what, err, reasoned)
	}
}

const invalid = "INVALID_SECOND_FACTOR"

func TestVerify(t *testing.T) { // R12
	w := newWorld(t)
	verify := func(g factor.Given) (factor.Method, error) { return w.Verify(w.ctx(t.Context()), w.user, g) }
	_, err := verify(factor.Given{Code: "000000"})
	want(t, "without a factor", err, invalid)
	secret, codes := w.enrol(t)
	for what, g := range map[string]factor.Given{
		"two steps ago": {Code: w.code(t, secret, -2)}, "the next step": {Code: w.code(t, secret, 1)}, "a wrong one": {RecoveryCode: codes[0][:28] + "!"},
		"nothing": {}, "both": {Code: w.code(t, secret, 0), RecoveryCode: codes[0]},
	} {
		_, err := verify(g)
		want(t, what, err, invalid)
	}
	m, err := verify(factor.Given{Code: w.code(t, secret, -1)})
	if m != factor.TOTP || err != nil {
		t.Errorf("one step ago: %s, %v", m, err)
	}
	if _, err := verify(factor.Given{Code: w.code(t, secret, 0)}); err != nil {
		t.Errorf("this step: %v", err)
	}
	for what, g := range map[string]factor.Given{"used": {Code: w.code(t, secret, 0)}, "before it": {Code: w.code(t, secret, -1)}} {
		_, err := verify(g)
		want(t, what, err, invalid)
	}
	m, err = verify(factor.Given{RecoveryCode: strings.ToLower(strings.ReplaceAll(codes[3], "-", " "))})
	if m != factor.Recovery || err != nil {
		t.Errorf("a recovery code: %s, %v", m, err)
	}
	_, err = verify(factor.Given{RecoveryCode: codes[3]})
	want(t, "a used recovery code", err, invalid)
	s, err := w.Status(t.Context(), w.user)
	if err != nil || !s.Enrolled || s.Codes != 9 {
		t.Errorf("Status = %+v, %v", s, err)
	}
}

// Of two parallel uses of one code exactly one succeeds, on two instances too.
func TestCodesWorkOnce(t *testing.T) { // R12
	w := newWorld(t)
	secret, codes := w.enrol(t)
	other := w.with(1)
	for what, g := range map[string]factor.Given{"of an authenticator": {Code: w.code(t, secret, 0)}, "of recovery": {RecoveryCode: codes[0]}} {
		var succeeded atomic.Int64
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				_, err := []*factor.Service{w.Service, other}[i%2].Verify(w.ctx(t.Context()), w.user, g)
				if err == nil {
					succeeded.Add(1)
				} else if reason(err) != invalid {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := succeeded.Load(); n != 1 {
			t.Errorf("%d uses of one code %s succeeded", n, what)
		}
	}
}

// Ten guesses are free. Then the right code is refused like a wrong one, and stays good, until the
// wait is over; another instance and another challenge count the same, and codes of both kinds.
func TestGuessesCostWaits(t *testing.T) { // R7
	w := newWorld(t)
	secret, codes := w.enrol(t)
	other := w.with(1)
	guess := func(s *factor.Service, g factor.Given) error {
		_, err := s.Verify(w.ctx(t.Context()), w.user, g)
		return err
	}
	for i := range throttle.FreeFailures {
		g := factor.Given{Code: w.code(t, secret, 5)}
		if i%3 == 0 {
			g = factor.Given{RecoveryCode: "AAAA"}
		}
		want(t, "a guess", guess([]*factor.Service{w.Service, other}[i%2], g), invalid)
	}
	want(t, "the right code", guess(other, factor.Given{Code: w.code(t, secret, 0)}), invalid)
	want(t, "a good recovery code", guess(w.Service, factor.Given{RecoveryCode: codes[0]}), invalid)
	c, err := w.Challenge(w.ctx(t.Context()), w.proven(true))
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Answer(w.ctx(t.Context()), c.Token, factor.Given{RecoveryCode: codes[0]})
	want(t, "to a new challenge", err, invalid)
	w.now = w.now.Add(throttle.FirstWait)
	want(t, "after the wait", guess(other, factor.Given{RecoveryCode: codes[0]}), "")
	want(t, "and then", guess(w.Service, factor.Given{Code: w.code(t, secret, 0)}), "")
}

// proven is the person after the password.
func (w *world) proven(enrolled bool) factor.Proven {
	return factor.Proven{
		UserID: w.user, OrganizationID: w.organization, Email: w.email, PasswordHash: "$hash", Revision: 1, Enrolled: enrolled, Required: !enrolled,
		Attempt: postgrestest.Event("auth.signed_in"),
	}
}

func TestEnrolment(t *testing.T) {
	w := newWorld(t)
	ctx := w.ctx(t.Context())
	e, err := w.Offer(t.Context(), w.user)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(e.URI)
	if q := u.Query(); err != nil || u.Scheme != "otpauth" || u.Host != "totp" || u.Path != "/login.example.com:"+w.email || q.Get("secret") != e.Secret ||
		q.Get("issuer") != "login.example.com" || q.Get("digits") != "6" || q.Get("period") != "30" || q.Get("algorithm") != "SHA1" {
		t.Errorf("%s: %v", e.URI, err)
	}
	again, err := w.Offered(t.Context(), w.user, e.Token)
	if err != nil || again != e {
		t.Errorf("shown once more: %+v, %v", again, err)
	}
	confirm := func(c factor.Change, token, code string) error {
		_, err := w.Confirm(ctx, c, token, code)
		return err
	}
	good := w.code(t, e.Secret, 0)
	stranger := w.change()
	stranger.UserID, _, _ = w.person(t)
	want(t, "somebody else's", confirm(stranger, e.Token, good), "INVALID_ENROLMENT")
	want(t, "a wrong code", confirm(w.change(), e.Token, w.code(t, e.Secret, 3)), invalid)
	want(t, "no token", confirm(w.change(), "x", good), "INVALID_ENROLMENT")
	if s, _ := w.Status(t.Context(), w.user); s.Enrolled {
		t.Fatal("a refused code has enrolled")
	}
	late, _ := w.Offer(t.Context(), w.user)
	if err := confirm(w.change(), e.Token, good); err != nil || w.ended != 1 {
		t.Fatalf("%v, %d times awake", err, w.ended)
	}
	want(t, "once more", confirm(w.change(), e.Token, good), "INVALID_ENROLMENT")
	want(t, "another one of before", confirm(w.change(), late.Token, w.code(t, late.Secret, 0)), "INVALID_ENROLMENT")
	_, err = w.Verify(ctx, w.user, factor.Given{Code: good})
	want(t, "the code that has enrolled", err, invalid)
	if err := w.Remove(ctx, w.change()); err != nil {
		t.Fatal(err)
	}
	want(t, "after the removal", confirm(w.change(), e.Token, good), "INVALID_ENROLMENT")
	want(t, "a removal of nothing", w.Remove(ctx, w.change()), "")
	_, err = w.ReplaceCodes(ctx, w.change())
	want(t, "codes of nothing", err, "NO_SECOND_FACTOR")
	last, _ := w.Offer(t.Context(), w.user)
	w.now = w.now.Add(15 * time.Minute)
	want(t, "too late", confirm(w.change(), last.Token, w.code(t, last.Secret, 0)), "INVALID_ENROLMENT")
}

// Codes of before are worthless once there are others, and what the organization requires stays.
func TestReplaceAndRemove(t *testing.T) {
	w := newWorld(t)
	ctx := w.ctx(t.Context())
	_, old := w.enrol(t)
	fresh, err := w.ReplaceCodes(ctx, w.change())
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Verify(ctx, w.user, factor.Given{RecoveryCode: old[0]})
	want(t, "an old code", err, invalid)
	_, err = w.Verify(ctx, w.user, factor.Given{RecoveryCode: fresh[0]})
	want(t, "a new code", err, "")
	if _, err := w.SetPolicy(postgrestest.Request(ctx, "auth.sign_in_policy_set"), factor.Policy{OrganizationID: w.organization, SecondFactorRequired: true}); err != nil {
		t.Fatal(err)
	}
	want(t, "removal of what is required", w.Remove(ctx, w.change()), "SECOND_FACTOR_REQUIRED")
	if s, _ := w.Status(ctx, w.user); !s.Enrolled || !s.Required {
		t.Errorf("Status = %+v", s)
	}
}

// What was planted is in no event and in no row in clear.
func TestSecretsAreNowhere(t *testing.T) { // R12
	w := newWorld(t)
	secret, codes := w.enrol(t)
	used := w.code(t, secret, 0)
	if _, err := w.Verify(w.ctx(t.Context()), w.user, factor.Given{Code: used}); err != nil {
		t.Fatal(err)
	}
	_, err := w.Verify(w.ctx(t.Context()), w.user, factor.Given{RecoveryCode: codes[0]})
	if err != nil {
		t.Fatal(err)
	}
	var dump string
	if err := w.Pool.QueryRow(t.Context(), `
		select concat((select string_agg(t::text, ' ') from auth.totp t), (select string_agg(c::text, ' ') from auth.recovery_codes c),
		    (select string_agg(l::text, ' ') from auth.logins l), (select string_agg(encode(payload, 'escape'), ' ') from auth.outbox))`).Scan(&dump); err != nil {
		t.Fatal(err)
	}
	for _, s := range append(codes, secret, strings.ToLower(secret), `"`+used+`"`) {
		if strings.Contains(dump, s) || strings.Contains(dump, strings.ReplaceAll(s, "-", "")) {
			t.Errorf("%q is in the database", s)
		}
	}
	var told int
	for _, e := range w.Recorded(t) {
		if e.Action == "auth.recovery_code_used" && e.Actor == (event.Actor{Type: event.User, ID: w.user}) && e.OrganizationID == w.organization {
			told++
		}
	}
	if told != 1 {
		t.Errorf("%d events of the recovery code", told)
	}
}

func TestResealing(t *testing.T) {
	w := newWorld(t)
	secret, _ := w.enrol(t)
	needed := true
	one, two := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	both := w.with(2)
	both.Secrets = seal.NewBox(factor.SecretPurpose, two, one, func() bool { return needed })
	after := w.with(2)
	_, err := after.Verify(w.ctx(t.Context()), w.user, factor.Given{Code: w.code(t, secret, -1)})
	if !errors.Is(err, seal.ErrNotOurs) {
		t.Errorf("without the key: %v", err)
	}
	_, err = both.Verify(w.ctx(t.Context()), w.user, factor.Given{Code: w.code(t, secret, -1)})
	want(t, "while it is replaced", err, "")
	needed = false
	for _, times := range []int{1, 0} {
		if n, err := both.Reseal(t.Context()); n != times || err != nil {
			t.Errorf("Reseal = %d, %v; want %d", n, err, times)
		}
	}
	_, err = after.Verify(w.ctx(t.Context()), w.user, factor.Given{Code: w.code(t, secret, 0)})
	want(t, "afterwards", err, "")
}
