package e2e_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pquerna/otp/totp"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/platform"
)

// accounts is a platform on which people are told by mail, and every secret that went over its
// wires.
type accounts struct {
	t       *testing.T
	p       *platform.Platform
	secrets map[string]string
}

// People get, prove, secure, lose and recover an account by mail and second factor over REST and on
// the pages, are invited, suspended and restored. No password, mailed code, cookie, TOTP secret or
// recovery code of it gets into a log, a metric, the trail or the database (R74).
func TestAccountsByMail(t *testing.T) {
	p := plat.Copy(filepath.Join(plat.Dir, "accounts"), 6000, "GATEHOUSE_MAIL_MAILBOX=true")
	if err := p.Up(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Down() })
	a := accounts{t: t, p: p, secrets: map[string]string{}}
	admin := a.administrator()
	eve := person{email: newEmail()}
	first := a.signsUp(eve.email, admin.email)
	eve = a.signsIn(eve.email, first)
	recovery := a.enrols(eve)
	eve, cookie := a.signsInWithFactor(eve.email, first, recovery[:2])
	second := a.recovers(eve, cookie, recovery[2])
	eve = a.answers(a.challenge(eve.email, second), recovery[3])
	a.suspended(admin, eve, second)
	a.invited(admin)
	a.leftNothing()
}

func (a accounts) call(want int, method, path string, body any, bearer string) answer {
	a.t.Helper()
	got, err := send(a.p.URL(), request{method: method, path: path, body: body, bearer: bearer})
	if err != nil || got.status != want {
		a.t.Fatalf("%s %s: status %d, want %d: %v\n%s", method, path, got.status, want, err, got.raw)
	}
	return got
}

func (a accounts) post(want int, path string, body any) answer {
	a.t.Helper()
	return a.call(want, "POST", path, body, "")
}

// keep plants a secret: it must be found nowhere afterwards.
func (a accounts) keep(what, secret string) string {
	a.t.Helper()
	a.secrets[fmt.Sprintf("%s (%d)", what, len(a.secrets))] = secret
	return secret
}

func (a accounts) password() string {
	return a.keep("a password", "planted "+strings.ToLower(rand.Text()))
}

func (a accounts) tokens(got answer) person {
	var p person
	p.access, _ = got.body["access_token"].(string)
	p.refresh, _ = got.body["refresh_token"].(string)
	if p.access == "" || p.refresh == "" {
		a.t.Fatalf("no tokens: %s", got.raw)
	}
	a.keep("an access token", p.access)
	a.keep("a refresh token", p.refresh)
	return p
}

func (a accounts) signsIn(email, password string) person {
	a.t.Helper()
	p := a.tokens(a.post(200, "/api/v1/auth/sign-in", map[string]string{"email": email, "password": password}))
	me := a.call(200, "GET", "/api/v1/me", nil, p.access)
	user, _ := me.body["user"].(map[string]any)
	p.email = email
	p.id, _ = user["id"].(string)
	p.organization, _ = user["organization_id"].(string)
	return p
}

func (a accounts) administrator() person {
	a.t.Helper()
	secret, err := a.p.BootstrapSecret()
	check.NoError(a.t, err)
	email, password := newEmail(), a.password()
	a.post(201, "/api/v1/auth/bootstrap", map[string]string{"secret": a.keep("the bootstrap secret", secret), "email": email, "password": password})
	return a.signsIn(email, password)
}

var codeInLink = regexp.MustCompile(`[?&]code=([A-Za-z0-9_-]{22})\b`)

// mailed waits for a mail to an address with a link to a page, and returns the code in it.
func (a accounts) mailed(email, page string) string {
	a.t.Helper()
	auth, err := a.p.Service("auth")
	check.NoError(a.t, err)
	var code string
	check.Within(a.t, 20*time.Second, "a mail to "+email+" leads to "+page, func() error {
		got, err := send("http://"+strings.TrimPrefix(auth.HTTP, "http://"), request{method: "GET", path: "/mailbox"})
		if err != nil {
			return err
		}
		var box struct {
			Mails []struct{ To, Text string } `json:"mails"`
		}
		if err := json.Unmarshal(got.raw, &box); err != nil {
			return err
		}
		for _, m := range box.Mails {
			if found := codeInLink.FindStringSubmatch(m.Text); m.To == email && found != nil && strings.Contains(m.Text, page) {
				code = found[1]
			}
		}
		if code == "" {
			return fmt.Errorf("not in %d mails", len(box.Mails))
		}
		return nil
	})
	return a.keep("a mailed code", code)
}

// signsUp makes an account at an address, whose response is that of a taken one, and returns the
// password.
func (a accounts) signsUp(email, taken string) string {
	a.t.Helper()
	password := a.password()
	var bodies []string
	for _, address := range []string{email, taken} {
		got := a.post(202, "/api/v1/auth/sign-up", map[string]string{"email": address, "password": password})
		bodies = append(bodies, string(got.raw))
	}
	if bodies[0] != bodies[1] || bodies[0] != "{}" {
		a.t.Errorf("a sign-up of a new address answers %s, of a taken one %s", bodies[0], bodies[1]) // R10
	}
	a.post(401, "/api/v1/auth/sign-in", map[string]string{"email": email, "password": password})
	code := a.mailed(email, "/verify-email")
	for range 20 { // as programs that scan mails do
		a.call(200, "GET", "/verify-email?code="+code, nil, "")
	}
	a.post(401, "/api/v1/auth/verify-email", map[string]string{"code": code, "password": password + "!"})
	a.post(204, "/api/v1/auth/verify-email", map[string]string{"code": code, "password": password})
	a.post(401, "/api/v1/auth/verify-email", map[string]string{"code": code, "password": password})
	return password
}

// enrols adds an authenticator and returns the recovery codes.
func (a accounts) enrols(p person) []string {
	a.t.Helper()
	offered := a.call(200, "POST", "/api/v1/me/totp", map[string]any{}, p.access)
	var offer struct {
		Enrolment struct{ Token, Secret, URI string }
	}
	check.NoError(a.t, json.Unmarshal(offered.raw, &offer))
	secret := a.keep("a TOTP secret", offer.Enrolment.Secret)
	code, err := totp.GenerateCode(secret, time.Now())
	check.NoError(a.t, err)
	a.call(401, "POST", "/api/v1/me/totp:confirm", map[string]string{"token": offer.Enrolment.Token, "code": "12345"}, p.access)
	confirmed := a.call(200, "POST", "/api/v1/me/totp:confirm", map[string]string{"token": offer.Enrolment.Token, "code": code}, p.access)
	var got struct {
		RecoveryCodes []string `json:"recovery_codes"`
	}
	check.NoError(a.t, json.Unmarshal(confirmed.raw, &got))
	if len(got.RecoveryCodes) != 10 {
		a.t.Fatalf("%d recovery codes", len(got.RecoveryCodes))
	}
	for _, c := range got.RecoveryCodes {
		a.keep("a recovery code", c)
		a.keep("a recovery code without dashes", strings.ReplaceAll(c, "-", ""))
	}
	return got.RecoveryCodes
}

// challenge signs in with a password, which is not enough, and returns the challenge.
func (a accounts) challenge(email, password string) string {
	a.t.Helper()
	got := a.post(200, "/api/v1/auth/sign-in", map[string]string{"email": email, "password": password})
	challenge, _ := got.body["challenge"].(map[string]any)
	token, _ := challenge["token"].(string)
	if token == "" || got.body["access_token"] != "" {
		a.t.Fatalf("a sign-in of somebody with a second factor answers %s", got.raw)
	}
	return a.keep("a challenge", token)
}

// answers answers a challenge with a recovery code.
func (a accounts) answers(token, code string) person {
	a.t.Helper()
	a.post(401, "/api/v1/auth/sign-in/challenge", map[string]string{"token": token, "recovery_code": "AAAA-AAAA-AAAA-AAAA-AAAA-AAAA"})
	return a.tokens(a.post(200, "/api/v1/auth/sign-in/challenge", map[string]string{"token": token, "recovery_code": code}))
}

// signsInWithFactor signs in over REST and on the pages; the cookie is that of the browser session.
func (a accounts) signsInWithFactor(email, password string, recovery []string) (p person, cookie string) {
	a.t.Helper()
	p = a.answers(a.challenge(email, password), recovery[0])
	p.email = email
	asked := a.form("/sign-in", "", url.Values{"email": {email}, "password": {password}})
	pending := cookies(asked)
	if pending["__Host-gatehouse"] != "" || asked.status != http.StatusSeeOther {
		a.t.Fatalf("the page's sign-in without the second factor: %d, cookies %v", asked.status, pending)
	}
	done := a.form(asked.header.Get("Location"), header(pending), url.Values{"code": {recovery[1]}})
	for name, value := range cookies(done) {
		if value != "" {
			a.keep("the cookie "+name, value)
		}
	}
	maps.Copy(pending, cookies(done))
	if pending["__Host-gatehouse"] == "" {
		a.t.Fatalf("no browser session after the second factor: %d\n%s", done.status, done.raw)
	}
	return p, header(pending)
}

// form sends a form as a page of the platform's own does.
func (a accounts) form(path, cookie string, form url.Values) answer {
	a.t.Helper()
	req, err := http.NewRequestWithContext(a.t.Context(), "POST", a.p.URL()+path, strings.NewReader(form.Encode()))
	check.NoError(a.t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	if cookie != "" {
		req.Header.Set("Cookie", cookie)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	check.NoError(a.t, err)
	defer resp.Body.Close()
	raw := new(bytes.Buffer)
	_, err = raw.ReadFrom(resp.Body)
	check.NoError(a.t, err)
	return answer{status: resp.StatusCode, header: resp.Header, raw: raw.Bytes()}
}

// cookies are those that a response sets.
func cookies(a answer) map[string]string {
	set := map[string]string{}
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		set[c.Name] = c.Value
	}
	return set
}

func header(cookies map[string]string) string {
	var all []string
	for name, value := range cookies {
		if value != "" {
			all = append(all, name+"="+value)
		}
	}
	return strings.Join(all, "; ")
}

// signedOut sees that neither tokens nor the cookie of a person are good any more (R22).
func (a accounts) signedOut(p person, cookie string) {
	a.t.Helper()
	a.post(401, "/api/v1/auth/refresh", map[string]string{"refresh_token": p.refresh})
	refused(a.t, "the access token", func() (answer, error) {
		return send(a.p.URL(), request{method: "GET", path: "/api/v1/me", bearer: p.access})
	})
	page := a.call2xx3xx("/account", cookie)
	if cookie != "" && !strings.HasPrefix(page.header.Get("Location"), "/sign-in") {
		a.t.Errorf("the account's page with the cookie of an ended session: %d to %q", page.status, page.header.Get("Location"))
	}
}

// call2xx3xx opens a page with a cookie, and follows nothing.
func (a accounts) call2xx3xx(path, cookie string) answer {
	a.t.Helper()
	req, err := http.NewRequestWithContext(a.t.Context(), "GET", a.p.URL()+path, nil)
	check.NoError(a.t, err)
	req.Header.Set("Cookie", cookie)
	resp, err := http.DefaultTransport.RoundTrip(req)
	check.NoError(a.t, err)
	defer resp.Body.Close()
	return answer{status: resp.StatusCode, header: resp.Header}
}

// recovers resets a password by mail and second factor, and returns the new one. It signs nobody
// in, and everybody out (R15).
func (a accounts) recovers(p person, cookie, recovery string) string {
	a.t.Helper()
	known := a.post(202, "/api/v1/auth/recover", map[string]string{"email": p.email})
	if unknown := a.post(202, "/api/v1/auth/recover", map[string]string{"email": newEmail()}); string(known.raw) != string(unknown.raw) {
		a.t.Errorf("recovery answers %s for somebody and %s for nobody", known.raw, unknown.raw) // R10
	}
	code, password := a.mailed(p.email, "/reset-password"), a.password()
	reset := map[string]string{"code": code, "new_password": password}
	a.post(401, "/api/v1/auth/reset-password", reset) // without the second factor
	reset["recovery_code"] = recovery
	if done := a.post(204, "/api/v1/auth/reset-password", reset); len(cookies(done)) > 0 || len(done.raw) > 0 {
		a.t.Errorf("a reset answers %s and sets %v", done.raw, cookies(done))
	}
	a.post(401, "/api/v1/auth/reset-password", reset)
	a.signedOut(p, cookie)
	return password
}

// suspended is refused everywhere like somebody with a wrong password, until restored.
func (a accounts) suspended(admin, p person, password string) {
	a.t.Helper()
	me := a.call(200, "GET", "/api/v1/me", nil, p.access)
	user, _ := me.body["user"].(map[string]any)
	path := fmt.Sprintf("/api/v1/users/%v", user["id"])
	wrong := a.post(401, "/api/v1/auth/sign-in", map[string]string{"email": user["email"].(string), "password": "planted but never chosen"})
	a.call(200, "POST", path+":suspend", map[string]any{}, admin.access)
	a.signedOut(p, "")
	right := a.post(401, "/api/v1/auth/sign-in", map[string]string{"email": user["email"].(string), "password": password})
	for _, got := range []answer{wrong, right} {
		delete(got.body, "instance")
	}
	if fmt.Sprint(wrong.body) != fmt.Sprint(right.body) {
		a.t.Errorf("a wrong password answers\n%v, a suspended account\n%v", wrong.body, right.body)
	}
	a.call(200, "POST", path+":restore", map[string]any{}, admin.access)
	a.challenge(user["email"].(string), password)
}

// invited gets an account by an invitation, once.
func (a accounts) invited(admin person) {
	a.t.Helper()
	email, password := newEmail(), a.password()
	a.call(201, "POST", "/api/v1/invitations", map[string]string{"organization_id": admin.organization, "email": email}, admin.access)
	accept := map[string]string{"code": a.mailed(email, "/accept-invitation"), "password": password}
	a.post(204, "/api/v1/auth/accept-invitation", accept)
	a.post(401, "/api/v1/auth/accept-invitation", accept)
	if p := a.signsIn(email, password); p.organization != admin.organization {
		a.t.Errorf("the invited person is in organization %s", p.organization)
	}
}

// leftNothing looks for every secret, in each form in which it may be written, wherever something
// is written.
func (a accounts) leftNothing() {
	a.t.Helper()
	shared := plat
	plat = a.p // the places that the other test looks through, of this platform
	defer func() { plat = shared }()
	lookThrough(a.t, a.secrets, logs(a.t))
	lookThrough(a.t, a.secrets, metrics(a.t))
	lookThrough(a.t, a.secrets, stored(a.t))
	dump := dumped(a.t, a.p)
	if len(dump) < 30 {
		a.t.Fatalf("%d tables", len(dump))
	}
	lookThrough(a.t, a.secrets, dump)
	encoded := map[string]string{}
	for name, secret := range a.secrets {
		if !strings.Contains(secret, ".") { // of tokens the signature is looked for
			encoded[name+" in hexadecimal"] = hex.EncodeToString([]byte(secret))
			encoded[name+" in base64"] = base64.StdEncoding.EncodeToString([]byte(secret))
		}
	}
	lookThrough(a.t, encoded, dump)
}

// dumped is every row of every table of the platform's database, as text; bytes are hexadecimal.
func dumped(t testing.TB, p *platform.Platform) map[string][]byte {
	t.Helper()
	db, err := p.Database(t.Context())
	check.NoError(t, err)
	defer func() { _ = db.Close(t.Context()) }()
	rows, err := db.Query(t.Context(), `
		select format('%I.%I', schemaname, tablename) from pg_tables where schemaname not in ('pg_catalog', 'information_schema')`)
	check.NoError(t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	check.NoError(t, err)
	found := map[string][]byte{}
	for _, table := range tables {
		var text string
		check.NoError(t, db.QueryRow(t.Context(), fmt.Sprintf("select coalesce(string_agg(t::text, E'\n'), '') from %s t", table)).Scan(&text))
		found["the table "+table] = []byte(text)
	}
	return found
}
