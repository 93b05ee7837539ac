package openapi

import (
	"strings"
	"testing"
)

func TestSaid(t *testing.T) {
	for _, c := range []struct{ comment, name, want string }{
		{"SignUp creates a login.", "SignUp", "Creates a login."},
		{"UserService is what people\nmay do with users.\n\nAll of them.", "UserService", "What people may do with users.\n\nAll of them."},
		{"SignUps are many.", "SignUp", "SignUps are many."},
		{"", "SignUp", ""},
	} {
		if got := said(c.comment, c.name); got != c.want {
			t.Errorf("%q: %q, want %q", c.comment, got, c.want)
		}
	}
	for comment, want := range map[string]string{
		"email is the login\nidentifier.": "The login identifier.",
		"email as it was sent.":           "email as it was sent.",
		"emails are many.":                "emails are many.",
	} {
		if got := described(comment, "email"); got != want {
			t.Errorf("%q: %q, want %q", comment, got, want)
		}
	}
}

func TestSummary(t *testing.T) {
	long := strings.Repeat("word ", 30)
	for description, want := range map[string]string{
		"Creates a login. Addresses are unique.": "Creates a login",
		"Follows RFC 9700.\n\nIn full.":          "Follows RFC 9700",
		"Takes 1.5 times as long":                "Takes 1.5 times as long",
		"Lists users: " + long:                   "Lists users",
		"Lists users, oldest first, " + long:     "Lists users",
		"Lists a, b; and c: " + long + ".":       "Lists a, b; and c",
		long:                                     strings.Repeat("word ", 14) + "word…",
	} {
		if got := summary(description); got != want {
			t.Errorf("%q: %q, want %q", description, got, want)
		}
	}
}

func TestComponentName(t *testing.T) {
	for message, want := range map[string]string{
		"gatehouse.identity.v1.User":         "User",
		"gatehouse.identity.v1.User.Address": "UserAddress",
		"gatehouse.auth.v1.SignInResponse":   "SignInResult",
		"gatehouse.auth.v1.SignInRequest":    "SignInRequest",
		"Response":                           "Response",
	} {
		if got := componentName(message); got != want {
			t.Errorf("%s: %s, want %s", message, got, want)
		}
	}
}

// One name is not given twice: a generated client could have only one of both.
func TestANameIsTakenOnce(t *testing.T) {
	b := builder{names: map[string]string{}}
	for _, owner := range []string{"/a.v1.UserService/Get", "/a.v1.UserService/Get"} {
		if err := b.claim("operation", "get", owner); err != nil {
			t.Error(err)
		}
	}
	if err := b.claim("operation", "get", "/b.v1.TeamService/Get"); err == nil || !strings.Contains(err.Error(), "/a.v1.UserService/Get") {
		t.Errorf("a name that is taken: %v", err)
	}
	if err := b.claim("tag", "get", "/b.v1.TeamService/Get"); err != nil {
		t.Errorf("the same word for another kind of thing: %v", err)
	}
}
