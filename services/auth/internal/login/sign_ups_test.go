package login_test

import (
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/services/auth/internal/login"
)

// Where people may sign up is the operator's decision, and nowhere unless that was made; the first
// administrator is made all the same (R16).
func TestWherePeopleMaySignUp(t *testing.T) {
	for where, may := range map[login.SignUps]struct{ page, api bool }{
		login.SignUpsOpen: {page: true, api: true}, login.SignUpsOnPages: {page: true}, login.SignUpsClosed: {}, "": {}, "OPEN": {},
	} {
		t.Run(string(where), func(t *testing.T) {
			w := newWorld(t)
			w.Config.SignUps = where
			if where.OnPages() != may.page {
				t.Errorf("a page is offered: %t", where.OnPages())
			}
			for onPage, admitted := range map[bool]bool{true: may.page, false: may.api} {
				address := map[bool]string{true: "page@example.com", false: "api@example.com"}[onPage]
				_, err := w.SignUp(signingUp(t.Context()), login.SignUp{Email: address, Password: pass, OnPage: onPage})
				if admitted != (err == nil) || !admitted && reason(err) != "SIGN_UP_CLOSED" {
					t.Errorf("on a page %t: %v, want admitted %t", onPage, err, admitted)
				}
				if says := err != nil && strings.Contains(err.Error(), "/sign-up"); says != (!admitted && may.page) {
					t.Errorf("on a page %t it says %v", onPage, err)
				}
			}
			if _, err := w.bootstrap("root@example.com", pass); err != nil {
				t.Errorf("the bootstrap: %v", err)
			}
		})
	}
}
