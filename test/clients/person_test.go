package clients_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// person signs in at strangers' clients.
type person struct {
	email  string
	secret string   // of the authenticator, of which one code is shown
	codes  []string // of recovery, each good once; nil without a second factor
}

func administrator() *person { return &person{email: email} }

// next is a code that was not used.
func (p *person) next(t *testing.T) (code string) {
	t.Helper()
	if p.secret != "" {
		code, err := totp.GenerateCode(p.secret, time.Now())
		check.NoError(t, err)
		p.secret = ""
		return code
	}
	if len(p.codes) == 0 {
		t.Fatal("no code is left")
	}
	code, p.codes = p.codes[0], p.codes[1:]
	return code
}

// protected signs somebody up who has an authenticator from then on.
func (b *balancer) protected(t *testing.T) *person {
	t.Helper()
	p := &person{email: "ada@example.com"}
	var in struct {
		Access string `json:"access_token"`
	}
	b.post(t, "/api/v1/auth/sign-up", "", map[string]string{"email": p.email, "password": password}, nil)
	b.post(t, "/api/v1/auth/sign-in", "", map[string]string{"email": p.email, "password": password}, &in)
	var offer struct {
		Enrolment struct{ Token, Secret string }
	}
	b.post(t, "/api/v1/me/totp", in.Access, map[string]string{}, &offer)
	first, err := totp.GenerateCode(offer.Enrolment.Secret, time.Now().Add(-30*time.Second)) // the present one is left
	check.NoError(t, err)
	var confirmed struct {
		Codes []string `json:"recovery_codes"`
	}
	b.post(t, "/api/v1/me/totp:confirm", in.Access, map[string]string{"token": offer.Enrolment.Token, "code": first}, &confirmed)
	p.secret, p.codes = offer.Enrolment.Secret, confirmed.Codes
	return p
}

// post calls the platform's API, as whoever has a token; "" is nobody.
func (b *balancer) post(t *testing.T, path, access string, body, answer any) {
	t.Helper()
	text, err := json.Marshal(body)
	check.NoError(t, err)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.issuer+path, bytes.NewReader(text))
	check.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	if access != "" {
		r.Header.Set("Authorization", "Bearer "+access)
	}
	response, err := b.client.Do(r)
	check.NoError(t, err)
	defer response.Body.Close()
	if response.StatusCode >= http.StatusBadRequest {
		t.Fatalf("%s answers %d", path, response.StatusCode)
	}
	if answer != nil {
		check.NoError(t, json.NewDecoder(response.Body).Decode(answer))
	}
}
