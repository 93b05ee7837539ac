package cli_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// provider answers "METHOD path" as told, and keeps what it was sent.
func provider(t *testing.T, answers map[string]string) (environ []string, sent *[]string) {
	t.Helper()
	sent = &[]string{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		asked := r.Method + " " + r.URL.RequestURI()
		*sent = append(*sent, strings.TrimSpace(asked+" "+string(body)))
		answer, ok := answers[asked]
		switch status, problem, refused := strings.Cut(answer, "!"); {
		case !ok:
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"status":403,"reason":"PERMISSION_DENIED","detail":"No."}`))
		case refused:
			var code int
			_, _ = fmt.Sscan(status, &code)
			w.WriteHeader(code)
			_, _ = w.Write([]byte(problem))
		default:
			_, _ = w.Write([]byte(answer))
		}
	}))
	t.Cleanup(s.Close)
	return []string{"GATEHOUSE_CLI_TOKEN=canary", "GATEHOUSE_URL=" + s.URL}, sent
}

const ordersClient = `{"id":"client-1","name":"Orders\u001b[2J","redirect_uris":["https://o.example/cb"],"secrets":[{"id":"s1","create_time":"2026-11-22T10:00:00Z"},{"id":"s2","create_time":"2026-11-23T10:00:00Z"}]}`

// R92: names are what people typed.
func TestClientsList(t *testing.T) {
	environ, _ := provider(t, map[string]string{
		"GET /api/v1/clients?page_size=100":               `{"clients":[` + ordersClient + `],"next_page_token":"p2"}`,
		"GET /api/v1/clients?page_size=100&page_token=p2": `{"clients":[{"id":"client-2","name":"App","public":true,"platform_api":true}]}`,
	})
	code, out, problem := run(t, environ, "clients", "list")
	want := "client-1  confidential           Orders\\u001b[2J  https://o.example/cb\nclient-2  public+platform        App  \n"
	if diff := cmp.Diff(want, out); code != 0 || problem != "" || diff != "" {
		t.Errorf("%d %q (-want +got):\n%s", code, problem, diff)
	}
	_, out, _ = run(t, environ, "clients", "list", "-o", "json")
	if lines := strings.Split(out, "\n"); len(lines) != 3 || !json.Valid([]byte(lines[0])) || !strings.Contains(lines[0], `"secrets":[{"id":"s1"`) {
		t.Errorf("as JSON %q", out)
	}
}

// The secret is on standard output, once; what people should know is beside it.
func TestClientsCreate(t *testing.T) {
	answer := `{"client":` + ordersClient + `,"secret":"canary-secret"}`
	environ, sent := provider(t, map[string]string{"POST /api/v1/clients": answer})
	code, out, problem := run(t, environ, "clients", "create", "Orders", "--redirect", "https://o.example/cb?a=1,2", "--redirect", "http://localhost/cb",
		"--post-logout", "https://o.example/bye", "--origin", "https://o.example", "--audience", "urn:o", "--scope", "openid", "--platform-api", "--id-token-algorithm", "ES256")
	if want := "client_id      client-1\nclient_secret  canary-secret\n"; code != 0 || out != want {
		t.Errorf("%d %q", code, out)
	}
	if !strings.Contains(problem, "first-party") || !strings.Contains(problem, "shown this once") || strings.Contains(problem, "canary-secret") {
		t.Errorf("told %q", problem)
	}
	want := []string{`POST /api/v1/clients {"name":"Orders","redirect_uris":["https://o.example/cb?a=1,2","http://localhost/cb"],` +
		`"post_logout_redirect_uris":["https://o.example/bye"],"web_origins":["https://o.example"],"audiences":["urn:o"],"scopes":["openid"],` +
		`"platform_api":true,"id_token_algorithm":"ES256"}`}
	if diff := cmp.Diff(want, *sent); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
	_, out, _ = run(t, environ, "clients", "create", "Orders", "-o", "json")
	if !json.Valid([]byte(out)) || !strings.Contains(out, `"secret":"canary-secret"`) || strings.Count(out, "\n") != 1 {
		t.Errorf("as JSON %q", out)
	}
	environ, sent = provider(t, map[string]string{"POST /api/v1/clients": `{"client":{"id":"client-2","public":true},"secret":""}`})
	_, out, problem = run(t, environ, "clients", "create", "App", "--public")
	if out != "client_id      client-2\n" || strings.Contains(problem, "secret") || (*sent)[0] != `POST /api/v1/clients {"name":"App","public":true}` {
		t.Errorf("a public client: %q, %q, sent %v", out, problem, *sent)
	}
}

func TestClientsRotate(t *testing.T) {
	environ, sent := provider(t, map[string]string{
		"POST /api/v1/clients/client-1/secrets":      `{"client":` + ordersClient + `,"secret":"canary-secret"}`,
		"GET /api/v1/clients/client-1":               ordersClient,
		"DELETE /api/v1/clients/client-1/secrets/s1": ``,
		"GET /api/v1/clients/client-2":               `{"id":"client-2","secrets":[{"id":"s3"}]}`,
	})
	code, out, problem := run(t, environ, "clients", "rotate", "client-1")
	if want := "client_id      client-1\nclient_secret  canary-secret\n"; code != 0 || out != want || !strings.Contains(problem, "--end-old") {
		t.Errorf("%d %q %q", code, out, problem)
	}
	code, out, problem = run(t, environ, "clients", "rotate", "client-1", "--end-old")
	if code != 0 || out != "" || !strings.Contains(problem, "2026-11-22T10:00:00Z") || (*sent)[2] != "DELETE /api/v1/clients/client-1/secrets/s1" {
		t.Errorf("%d %q %q, sent %v", code, out, problem, *sent)
	}
	code, _, problem = run(t, environ, "clients", "rotate", "client-2", "--end-old")
	if code != 1 || !strings.Contains(problem, "no old secret") {
		t.Errorf("%d %q", code, problem)
	}
}

func TestClientsDelete(t *testing.T) {
	environ, sent := provider(t, map[string]string{"DELETE /api/v1/clients/client-1": ``})
	code, out, problem := run(t, environ, "clients", "delete", "client-1")
	if code != 0 || out != "" || !strings.Contains(problem, "client-1 is gone") || len(*sent) != 1 {
		t.Errorf("%d %q %q, sent %v", code, out, problem, *sent)
	}
}

// Each refusal is one sentence that says how to mend it.
func TestClientsRefusals(t *testing.T) {
	environ, _ := provider(t, map[string]string{
		"POST /api/v1/clients": `400!{"status":400,"reason":"INVALID_ARGUMENT","detail":"Not right.","errors":[` +
			`{"field":"redirect_uris[0]","description":"must be https\u001b"},{"field":"web_origins[1]","description":"must end"}]}`,
		"POST /api/v1/clients/two/secrets":   `400!{"status":400,"reason":"CLIENT_HAS_TWO_SECRETS","detail":"Two."}`,
		"DELETE /api/v1/clients/gone":        `404!{"status":404,"reason":"CLIENT_NOT_FOUND","detail":"no such client"}`,
		"POST /api/v1/clients/a%2Fb/secrets": `404!{"status":404,"reason":"CLIENT_NOT_FOUND","detail":"no such client"}`,
	})
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"fields":     {[]string{"clients", "create", "X", "--redirect", "x"}, "Not right.: redirect_uris[0] must be https\\u001b; web_origins[1] must end"},
		"two":        {[]string{"clients", "rotate", "two"}, "rotate ID --end-old"},
		"gone":       {[]string{"clients", "delete", "gone"}, "gatehouse clients list"},
		"path in id": {[]string{"clients", "rotate", "a/b"}, "gatehouse clients list"},
		"nobody's":   {[]string{"clients", "list"}, "administrator of the platform"},
	} {
		code, out, problem := run(t, environ, c.args...)
		if code != 1 || out != "" || strings.Count(problem, "\n") != 1 || !strings.Contains(problem, c.want) {
			t.Errorf("%s: exit code %d, %q, %q, want one sentence with %q", name, code, out, problem, c.want)
		}
	}
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"nobody":   {[]string{"clients", "list"}, "GATEHOUSE_CLI_TOKEN_FILE"},
		"no name":  {[]string{"clients", "create", "--token", "t"}, "name"},
		"no id":    {[]string{"clients", "delete", "--token", "t"}, "id"},
		"in clear": {[]string{"clients", "list", "--token", "t", "--url", "http://192.0.2.1:8080"}, "https://"},
	} {
		code, out, problem := run(t, nil, c.args...)
		if code == 0 || out != "" || strings.Count(problem, "\n") != 1 || !strings.Contains(problem, c.want) {
			t.Errorf("%s: exit code %d, %q, %q, want one sentence with %q", name, code, out, problem, c.want)
		}
	}
}
