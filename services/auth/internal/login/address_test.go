package login_test

import (
	"testing"

	"github.com/gatehouse/gatehouse/services/auth/internal/login"
)

// What other rules take for the letters of an address is another address, and nobody's (issue 8,
// line 16).
func TestLookAlikesAreNobody(t *testing.T) {
	w := newWorld(t)
	u, err := w.SignUp(signingUp(t.Context()), login.SignUp{Email: "Kim.Sik@Example.com", Password: pass})
	if err != nil || u.Email != "kim.sik@example.com" {
		t.Fatalf("SignUp = %+v, %v", u, err)
	}
	for _, address := range []string{
		"\u212Aim.sik@example.com",  // Kelvin sign
		"kim.\u017Fik@example.com",  // long s
		"k\u0130m.sik@example.com",  // I with a dot
		"k\u0131m.sik@example.com",  // dotless i
		"\uFF4Bim.sik@example.com",  // full width
		"kim.sik@example\uFF0Ecom",  // full width
		"kim.sik@example.com\u200B", // no width
		"kim\u2024sik@example.com",  // one dot leader
		"k\u0456m.sik@example.com",  // Cyrillic
		"kim.sik@e\u0301xample.com", // combining
		" kim.sik@example.com", "kim.sik@example.com.",
	} {
		if _, _, err := w.Authenticate(t.Context(), login.Credentials{Email: address, Password: pass}); reason(err) != "INVALID_CREDENTIALS" {
			t.Errorf("Authenticate as %q = %v, want INVALID_CREDENTIALS", address, err)
		}
	}
	for _, address := range []string{"kim.sik@example.com", "KIM.SIK@EXAMPLE.COM"} {
		if l, _, err := w.Authenticate(t.Context(), login.Credentials{Email: address, Password: pass}); err != nil || l.UserID != u.ID {
			t.Errorf("Authenticate as %q = %+v, %v; want the user", address, l, err)
		}
	}
}
