package cli_test

import (
	"slices"
	"strings"
	"testing"
)

const suspendedUser = `{"id":"u1","organization_id":"o1","email":"ada@example.com\u001b[2J","state":"STATE_SUSPENDED"}`

// A user is named by id or address, and what was done is said; control characters are shown (R92).
func TestUsersSuspendAndRestore(t *testing.T) {
	environ, sent := provider(t, map[string]string{
		"POST /api/v1/users/u1:suspend": suspendedUser, "POST /api/v1/users/u1:restore": suspendedUser,
		"GET /api/v1/users?filter=email+%3D+%22ada%40example.com%22":                    `{"users":[` + suspendedUser + `]}`,
		"GET /api/v1/users?filter=email+%3D+%22ada%40example.com%22&organization_id=o1": `{"users":[` + suspendedUser + `]}`,
	})
	for _, c := range []struct {
		args []string
		want string
		sent []string
	}{
		{[]string{"suspend", "u1"}, "ada@example.com\\u001b[2J (u1) is suspended", []string{"POST /api/v1/users/u1:suspend"}},
		{[]string{"suspend", "ada@example.com"}, "(u1) is suspended",
			[]string{"GET /api/v1/users?filter=email+%3D+%22ada%40example.com%22", "POST /api/v1/users/u1:suspend"}},
		{[]string{"restore", "ada@example.com", "--organization", "o1"}, "(u1) may sign in again",
			[]string{"GET /api/v1/users?filter=email+%3D+%22ada%40example.com%22&organization_id=o1", "POST /api/v1/users/u1:restore"}},
	} {
		*sent = nil
		code, out, problem := run(t, environ, append([]string{"users"}, c.args...)...)
		if code != 0 || out != "" || !strings.Contains(problem, c.want) || strings.Count(problem, "\n") != 1 || !slices.Equal(*sent, c.sent) {
			t.Errorf("%v: %d %q %q, sent %q", c.args, code, out, problem, *sent)
		}
	}
}

func TestUsersSuspendRefusals(t *testing.T) {
	environ, sent := provider(t, map[string]string{
		"POST /api/v1/users/u2:suspend":                                        `400!{"status":400,"reason":"LAST_ADMINISTRATOR","detail":"make another one first"}`,
		"GET /api/v1/users?filter=email+%3D+%22nobody%40example.com%22":        `{"users":[]}`,
		"GET /api/v1/users?filter=email+%3D+%22two%40example.com%22":           `{"users":[{"id":"a","organization_id":"x"},{"id":"b\u202e","organization_id":"y"}]}`,
		"GET /api/v1/users?filter=email+%3D+%22o%27%5C%22%40example.com+or%22": `{"users":[]}`,
	})
	for user, want := range map[string]string{
		"u2": "LAST_ADMINISTRATOR: make another one first", "u3": "sign in as an administrator", "nobody@example.com": "nobody has the address nobody@example.com",
		"two@example.com":    `2 users have the address two@example.com, each in an organization of their own: name one by its id: a of x, b\u202e of y`,
		`o'"@example.com or`: "nobody has the address",
	} {
		code, _, problem := run(t, environ, "users", "suspend", user)
		if code != 1 || !strings.Contains(problem, want) || strings.Count(problem, "\n") != 1 {
			t.Errorf("%s: %d %q", user, code, problem)
		}
	}
	for _, request := range *sent {
		if strings.HasPrefix(request, "POST") && !strings.Contains(request, "/u2:") && !strings.Contains(request, "/u3:") {
			t.Errorf("sent %q", request)
		}
	}
}
