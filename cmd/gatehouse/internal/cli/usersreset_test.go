package cli_test

import (
	"strings"
	"testing"
)

// The command says what was done, and each refusal in one sentence.
func TestUsersReset(t *testing.T) {
	environ, sent := provider(t, map[string]string{"POST /api/v1/users/u1:reset": `{}`,
		"POST /api/v1/users/u2:reset": `400!{"status":400,"reason":"NO_LOGIN","detail":"this user has no login"}`})
	code, out, problem := run(t, environ, "users", "reset", "u1")
	if code != 0 || out != "" || !strings.Contains(problem, "A mail to u1 is queued") || (*sent)[0] != "POST /api/v1/users/u1:reset" {
		t.Errorf("%d %q %q, sent %v", code, out, problem, *sent)
	}
	for id, want := range map[string]string{"u2": "NO_LOGIN: this user has no login", "u3": "sign in as an administrator", "a/b": "administrator"} {
		if code, _, problem := run(t, environ, "users", "reset", id); code != 1 || !strings.Contains(problem, want) || strings.Count(problem, "\n") != 1 {
			t.Errorf("%s: %d %q", id, code, problem)
		}
	}
}
