package app_test

import (
	"net/http"
	"testing"
)

// Where mail is configured a sign-up is accepted, with an empty object: one answer for each
// address, as the document says.
func TestAcceptedSignUps(t *testing.T) { // R10
	r := start(t, nil)
	r.Users.Add("a@example.com", "A")
	r.Auth.Mail()
	v := r.validator(t)
	for _, address := range []string{"a@example.com", "b@example.com"} {
		sign := request{method: "POST", path: "/api/v1/auth/sign-up", body: `{"email":"` + address + `","password":"` + password + `"}`}
		if up := r.do(sign); up.status != http.StatusAccepted || up.body != "{}" || up.header.Get("ETag") != "" || up.header.Get("Consistency-Token") != "" {
			t.Errorf("%s: %d %v %q", address, up.status, up.header, up.body)
		}
		sent, received := r.exchanged(sign)
		if ok, errs := v.ValidateHttpRequestResponse(sent, received); !ok {
			t.Errorf("%s: %v", address, errs)
		}
	}
}
