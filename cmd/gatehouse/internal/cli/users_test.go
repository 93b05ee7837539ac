package cli_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// table writes a file of users.
func table(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users.csv")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestUsersImport(t *testing.T) {
	address, _ := stand(t, map[string]string{"/api/v1/users:import": `{"messages":"2","created":"100","exists":"0","conflicts":"1",` +
		`"refusals":[{"message":"2","index":0,"email":"x\u202e","reason":"EMAIL_TAKEN"}]}`})
	var text strings.Builder
	text.WriteString("display_name,email\n")
	for n := range 101 {
		fmt.Fprintf(&text, "U,u%d@example.com\n", n)
	}
	code, out, problem := run(t, []string{"GATEHOUSE_CLI_TOKEN=canary", "GATEHOUSE_URL=" + address}, "users", "import", table(t, text.String()), "--organization", "o")
	if code != 1 || out != "line 102: x\\u202e: EMAIL_TAKEN\n" {
		t.Errorf("%d %q", code, out)
	}
	if want := "101 of 101 users: 100 created, 0 there before, 1 conflicts\n"; !strings.HasPrefix(problem, want) || !strings.Contains(problem, "not created") {
		t.Errorf("told %q", problem)
	}
}

// Lines are those of the file, whatever stands between them and before the header, and each refusal
// of a long file has one.
func TestUsersImportNamesLines(t *testing.T) {
	address, _ := stand(t, map[string]string{"/api/v1/users:import": `{"messages":"1","created":"2","exists":"0","conflicts":"1",` +
		`"refusals":[{"message":"1","index":2,"email":"c@example.com","reason":"EMAIL_TAKEN"},{"message":"99","index":0,"email":"d@example.com","reason":"EMAIL_TAKEN"}]}`})
	environ := []string{"GATEHOUSE_CLI_TOKEN=canary", "GATEHOUSE_URL=" + address}
	_, out, problem := run(t, environ, "users", "import", table(t, "\ufeff\"email\",display_name\r\na@example.com,\r\n\r\nb@example.com,\"B\nB\"\r\nc@example.com,C\r\n"), "--organization", "o")
	if out != "line 6: c@example.com: EMAIL_TAKEN\nline 0: d@example.com: EMAIL_TAKEN\n" || !strings.HasPrefix(problem, "3 of 3 users") {
		t.Errorf("told %q, %q", out, problem)
	}
	_, _, problem = run(t, environ, "users", "import", table(t, "email\n"+strings.Repeat("x@example.com\n", 1001)), "--organization", "o")
	if !strings.HasPrefix(problem, "1000 of 1001 users") {
		t.Errorf("told %q", problem)
	}
}

// What is refused is named: the line and the column of the file, or the flag's field.
func TestUsersImportNamesWhatIsRefused(t *testing.T) {
	for field, want := range map[string]string{
		"users[1].email":  "line 103: email must be right\\u202e: correct",
		"organization_id": "no good: organization_id must be right\\u202e; 100 users are imported",
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Gatehouse-Stored-Messages", "1")
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"status":400,"reason":"INVALID_ARGUMENT","detail":"no good","errors":[{"field":%q,"description":"must be right\u202e"}]}`, field)
		}))
		file := table(t, "email\n"+strings.Repeat("x@example.com\n", 102))
		code, _, problem := run(t, []string{"GATEHOUSE_CLI_TOKEN=canary", "GATEHOUSE_URL=" + s.URL}, "users", "import", file, "--organization", "o")
		s.Close()
		if code != 1 || !strings.Contains(problem, want) {
			t.Errorf("%s: %d %q, want %q", field, code, problem, want)
		}
	}
}

func TestUsersWatch(t *testing.T) {
	address, asked := stand(t, map[string]string{"/api/v1/users:watch": `{"user":{"id":"1","organization_id":"o","email":"a\u001b","display_name":"A"},"cursor":"c1"}` + "\n" +
		`{"cursor":"c1"}` + "\n" + `{"deleted":{"id":"1","organization_id":"o"},"cursor":"c2"}` + "\n" + `{"error":{"status":403,"reason":"PERMISSION_DENIED","detail":"No."}}`})
	environ := []string{"GATEHOUSE_CLI_TOKEN=canary", "GATEHOUSE_URL=" + address}
	code, out, problem := run(t, environ, "users", "watch", "--organization", "o", "--cursor", "c0")
	want := "user     1  of o  a\\u001b  A\ndeleted  1  of o    \n"
	if code != 1 || out != want || !strings.HasPrefix(problem, "1 users so far") || !strings.Contains(problem, "PERMISSION_DENIED") {
		t.Errorf("%d %q %q", code, out, problem)
	}
	if diff := cmp.Diff(url.Values{"organization_id": {"o"}, "cursor": {"c0"}}, asked["/api/v1/users:watch"]); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	_, out, _ = run(t, environ, "users", "watch", "-o", "json")
	if strings.Count(out, "\n") != 2 || !strings.Contains(out, `"cursor":"c2"`) {
		t.Errorf("as JSON %q", out)
	}
}

func TestUsersRefusals(t *testing.T) {
	good := table(t, "email\na@example.com\n")
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"nobody":       {[]string{"users", "watch"}, "GATEHOUSE_CLI_TOKEN_FILE"},
		"no file":      {[]string{"users", "import", "/nowhere", "--organization", "o", "--token", "t"}, "/nowhere"},
		"nothing":      {[]string{"users", "import", table(t, ""), "--organization", "o", "--token", "t"}, "header"},
		"no email":     {[]string{"users", "import", table(t, "locale\nde\n"), "--organization", "o", "--token", "t"}, "column email"},
		"other column": {[]string{"users", "import", table(t, "email,password\n"), "--organization", "o", "--token", "t"}, `"password"`},
		"short row":    {[]string{"users", "import", table(t, "email,locale\na\n"), "--organization", "o", "--token", "t"}, "line 2"},
		"in clear":     {[]string{"users", "import", good, "--organization", "o", "--token", "t", "--url", "http://192.0.2.1:8080"}, "https://"}, // R92
	} {
		code, out, problem := run(t, nil, c.args...)
		if code == 0 || out != "" || strings.Count(problem, "\n") != 1 || !strings.Contains(problem, c.want) {
			t.Errorf("%s: exit code %d, %q, %q, want one sentence with %q", name, code, out, problem, c.want)
		}
	}
	address, _ := stand(t, nil)
	code, _, problem := run(t, []string{"GATEHOUSE_CLI_TOKEN=t", "GATEHOUSE_URL=" + address}, "users", "import", good, "--organization", "o")
	if code != 1 || !strings.Contains(problem, "0 users are imported, and repeating the import is safe") {
		t.Errorf("%d %q", code, problem)
	}
}
