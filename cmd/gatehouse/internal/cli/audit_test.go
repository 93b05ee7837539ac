package cli_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// hostile is an event whose texts would move the cursor, turn the text or begin a line of their own.
const hostile = `{"id":"1","time":"2026-11-22T10:00:00.5Z","action":"user.up\u001b[2Jdated","outcome":"denied","reason":"NO\u0085T","occurrences":3,` +
	`"actor":{"type":"user","id":"\u202Eeve"},"source":"identity","object_type":"user","object_id":"a\nb","client_address":"198.51.100.7","client_agent":"curl/8\u001b[2J",` +
	"\n" + `"changes":[{"field":"name","value":"\"` + "\u009b31m\u202e\U000e0001é" + `\""}]}`

// stand is a gateway that answers each path with a text and keeps the last query of each.
func stand(t *testing.T, answers map[string]string) (address string, asked map[string]url.Values) {
	t.Helper()
	asked = map[string]url.Values{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked[r.URL.Path] = r.URL.Query()
		answer, ok := answers[r.URL.Path]
		switch {
		case !ok:
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"status":403,"reason":"PERMISSION_DENIED","detail":"No."}`))
		case strings.HasPrefix(answer, "http"):
			http.Redirect(w, r, answer, http.StatusTemporaryRedirect)
		default:
			_, _ = w.Write([]byte(answer))
		}
	}))
	t.Cleanup(s.Close)
	return s.URL, asked
}

func TestAuditList(t *testing.T) {
	address, asked := stand(t, map[string]string{"/api/v1/audit/events": `{"events":[` + hostile + `]}`})
	environ := []string{"GATEHOUSE_CLI_TOKEN=canary", "GATEHOUSE_URL=" + address}
	code, out, problem := run(t, environ, "audit", "list", "--actor", "me", "--object", "user:a:b", "--organization", "o", "--action", "user.updated",
		"--outcome", "denied", "--request-id", "r", "--since", "2026-11-22T11:00:00+01:00", "--until", "2026-11-23T00:00:00Z", "-n", "7", "--search", "ada love")
	if code != 0 || problem != "" {
		t.Fatalf("%d %s", code, problem)
	}
	want := "2026-11-22T10:00:00.500Z  user.up\\u001b[2Jdated         denied NO\\u0085T ×3               user:\\u202eeve → user:a\\u000ab  (identity)  from 198.51.100.7  by curl/8\\u001b[2J\n"
	if diff := cmp.Diff(want, out); diff != "" {
		t.Errorf("printed (-want +got):\n%s", diff)
	}
	query := url.Values{
		"actor_id": {"me"}, "object_type": {"user"}, "object_id": {"a:b"}, "organization_id": {"o"}, "action": {"user.updated"}, "outcome": {"denied"},
		"request_id": {"r"}, "start_time": {"2026-11-22T10:00:00Z"}, "end_time": {"2026-11-23T00:00:00Z"}, "page_size": {"7"},
		"search": {"ada love"},
	}
	if diff := cmp.Diff(query, asked["/api/v1/audit/events"]); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	_, out, _ = run(t, environ, "audit", "list", "-o", "ndjson")
	want = strings.NewReplacer("\n", "", "\u009b", `\u009b`, "\u202e", `\u202e`, "\U000e0001", `\udb40\udc01`).Replace(hostile) + "\n"
	if diff := cmp.Diff(want, out); diff != "" {
		t.Errorf("printed as lines of JSON (-want +got):\n%s", diff)
	}
	_, out, _ = run(t, environ, "audit", "list", "-o", "json", "--since", "2h")
	if diff := cmp.Diff("["+strings.TrimSpace(want)+"]\n", out); diff != "" {
		t.Errorf("printed as JSON (-want +got):\n%s", diff)
	}
	since, err := time.Parse(time.RFC3339Nano, asked["/api/v1/audit/events"].Get("start_time"))
	if ago := time.Since(since); err != nil || ago < 2*time.Hour || ago > 3*time.Hour {
		t.Errorf("2 hours ago was %s ago, %v", ago, err)
	}
}

// A list of nothing is a list; a tail from a time says so again with each cursor.
func TestAuditOfNothing(t *testing.T) {
	address, asked := stand(t, map[string]string{"/api/v1/audit/events": `{"events":[]}`})
	environ := []string{"GATEHOUSE_CLI_TOKEN=canary", "GATEHOUSE_URL=" + address}
	if code, out, problem := run(t, environ, "audit", "list", "-o", "json"); code != 0 || out != "[]\n" || problem != "" {
		t.Errorf("%d %q %q", code, out, problem)
	}
	if code, _, _ := run(t, environ, "audit", "tail", "--since", "2026-11-22T11:00:00+01:00", "--search", "ada", "--cursor", "c"); code == 0 {
		t.Error("a refused tail ends well")
	}
	want := url.Values{"start_time": {"2026-11-22T10:00:00Z"}, "search": {"ada"}, "cursor": {"c"}}
	if diff := cmp.Diff(want, asked["/api/v1/audit/events:tail"]); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

// Whoever signs in for one command leaves no session behind, also when the command is refused.
func TestAuditSignsInAndOut(t *testing.T) {
	address, asked := stand(t, map[string]string{"/api/v1/auth/sign-in": `{"access_token":"canary","refresh_token":"canary"}`, "/api/v1/auth/sign-out": ""})
	environ := []string{"GATEHOUSE_CLI_PASSWORD=canary", "GATEHOUSE_URL=" + address}
	code, out, problem := run(t, environ, "audit", "tail", "--email", "a@example.com", "--cursor", "c")
	if code == 0 || out != "" || !strings.Contains(problem, "PERMISSION_DENIED") || strings.Contains(problem, "canary") {
		t.Errorf("%d %q %q", code, out, problem)
	}
	if _, ok := asked["/api/v1/auth/sign-out"]; !ok || asked["/api/v1/audit/events:tail"].Get("cursor") != "c" {
		t.Errorf("asked %v", asked)
	}
}

func TestAuditFollowsNoRedirect(t *testing.T) {
	elsewhere, told := stand(t, nil)
	address, _ := stand(t, map[string]string{"/api/v1/auth/sign-in": elsewhere})
	code, _, problem := run(t, []string{"GATEHOUSE_CLI_PASSWORD=canary", "GATEHOUSE_URL=" + address}, "audit", "list", "--email", "a@example.com")
	if code == 0 || !strings.Contains(problem, "307") || len(told) > 0 {
		t.Errorf("%d %q; another host was asked %v", code, problem, told)
	}
}

func TestAuditRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"nobody":          {[]string{"audit", "list"}, "GATEHOUSE_CLI_TOKEN_FILE"},
		"two credentials": {[]string{"audit", "list", "--token", "t", "--email", "a@example.com"}, "keep one"},
		"no object":       {[]string{"audit", "tail", "--token", "t", "--object", "x"}, "--object"},
		"no limit":        {[]string{"audit", "list", "--token", "t", "-n", "0"}, "--limit"},
		"no outcome":      {[]string{"audit", "list", "--token", "t", "--outcome", "x"}, "--outcome"},
		"no time":         {[]string{"audit", "list", "--token", "t", "--since", "yesterday"}, "--since"},
		"no past":         {[]string{"audit", "tail", "--token", "t", "--since", "-2h"}, "--since"},
		"too long ago":    {[]string{"audit", "list", "--token", "t", "--until", "99999999d"}, "--until"},
		"nothing runs":    {[]string{"audit", "list", "--token", "t", "--state", t.TempDir()}, "--url"},
		"in clear":        {[]string{"audit", "list", "--token", "t", "--url", "http://192.0.2.1:8080"}, "https://"}, // R92
		"a password, too": {[]string{"audit", "tail", "--email", "a@example.com", "--password", "p", "--url", "HTTP://localhost.example"}, "https://"},
		"other loopback":  {[]string{"audit", "list", "--token", "t", "--url", "http://[::1]:1"}, "ask the gateway"},
		"no terminal":     {[]string{"audit", "list", "--email", "a@example.com", "--url", "http://127.0.0.1:1"}, "GATEHOUSE_CLI_PASSWORD_FILE"},
	} {
		code, out, problem := run(t, nil, c.args...)
		if code == 0 || out != "" || strings.Count(problem, "\n") != 1 || !strings.Contains(problem, c.want) {
			t.Errorf("%s: exit code %d, %q, %q, want one sentence with %q", name, code, out, problem, c.want)
		}
	}
}
