package cli_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

const exported = "/api/v1/audit/events:tail"

// events are a stream with two events and its end.
const events = `{"cursor":"c0"}
{"event":{"id":"1","time":"2026-11-22T10:00:00Z","action":"user.created","outcome":"success","count":"1","source":"identity","client_agent":"=1+1"},"cursor":"c1"}
{"event":{"id":"2","time":"2026-11-23T10:00:00Z","action":"user.deleted","outcome":"success","count":"1","source":"identity"},"cursor":"c2"}
{"cursor":"c3","end":true}
`

func TestExportToAFileGoesOn(t *testing.T) {
	address, asked := stand(t, map[string]string{exported: events})
	environ := []string{"GATEHOUSE_CLI_TOKEN=canary", "GATEHOUSE_URL=" + address}
	dir := t.TempDir()
	out, resume := filepath.Join(dir, "events.ndjson"), filepath.Join(dir, "resume")
	for i, cursor := range []string{"", "c3"} {
		code, printed, problem := run(t, environ, "audit", "export", "-o", out, "--resume", resume, "--actor", "a", "--object", "user:b", "--since", "2026-11-22T11:00:00+01:00", "--until", "2026-12-01T00:00:00Z")
		if code != 0 || printed != "" || !strings.HasSuffix(problem, "events are delivered\n") {
			t.Fatalf("%d %q %q", code, printed, problem)
		}
		query := url.Values{"actor_id": {"a"}, "object_type": {"user"}, "object_id": {"b"}, "stored_only": {"true"}}
		if i == 0 {
			query.Set("start_time", "2026-11-22T10:00:00Z")
		} else {
			query.Set("cursor", cursor)
		}
		if diff := cmp.Diff(query, asked[exported]); diff != "" {
			t.Errorf("run %d asked (-want +got):\n%s", i+1, diff)
		}
	}
	text, err := os.ReadFile(out)
	check.NoError(t, err)
	var ids []string
	for line := range bytes.Lines(text) {
		var e struct {
			ID, Source string
			Data       struct {
				Time int64
			}
		}
		check.NoError(t, json.Unmarshal(line, &e))
		if ids = append(ids, e.ID); e.Source != address || e.Data.Time == 0 {
			t.Errorf("%+v", e)
		}
	}
	if !slices.Equal(ids, []string{"1", "2", "1", "2"}) { // the stand tells the same after every cursor
		t.Errorf("events %v", ids)
	}
	if info, err := os.Stat(out); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	code, _, problem := run(t, environ, "audit", "export", "-o", out, "--resume", resume, "--actor", "another")
	if code == 0 || !strings.Contains(problem, "another export") {
		t.Errorf("%d %s", code, problem)
	}
}

// How long ago is counted from the first run: the next one goes on with its time.
func TestExportSinceALittleWhileAgoGoesOn(t *testing.T) {
	address, asked := stand(t, map[string]string{exported: events})
	environ := []string{"GATEHOUSE_CLI_TOKEN=canary", "GATEHOUSE_URL=" + address}
	dir := t.TempDir()
	out, resume := filepath.Join(dir, "events.ndjson"), filepath.Join(dir, "resume")
	var since [2]time.Time
	for i := range since {
		code, _, problem := run(t, environ, "audit", "export", "-o", out, "--resume", resume, "--since", "2h", "--search", "ada love")
		if code != 0 || asked[exported].Get("search") != "ada love" {
			t.Fatalf("run %d: %d %s; asked %v", i+1, code, problem, asked)
		}
		if i == 0 {
			at, err := time.Parse(time.RFC3339Nano, asked[exported].Get("start_time"))
			if ago := time.Since(at); err != nil || ago < 2*time.Hour || ago > 3*time.Hour {
				t.Errorf("since %s ago, %v", ago, err)
			}
		}
		text, err := os.ReadFile(resume)
		check.NoError(t, err)
		var state struct{ Since time.Time }
		check.NoError(t, json.Unmarshal(text, &state))
		since[i] = state.Since
	}
	if since[0].IsZero() || !since[0].Equal(since[1]) {
		t.Errorf("since %v", since)
	}
	if code, _, problem := run(t, environ, "audit", "export", "-o", out, "--resume", resume, "--since", "3h", "--search", "ada love"); code == 0 || !strings.Contains(problem, "another export") {
		t.Errorf("%d %s", code, problem)
	}
}

// What other programs read is written as it is, and only what is asked for.
func TestExportToStandardOutput(t *testing.T) {
	address, asked := stand(t, map[string]string{exported: events})
	environ := []string{"GATEHOUSE_CLI_TOKEN=canary", "GATEHOUSE_URL=" + address}
	code, out, problem := run(t, environ, "audit", "export", "-o", "-", "--format", "csv", "--until", "2026-11-23T00:00:00Z")
	if code != 0 || asked[exported].Get("start_time") != "1970-01-01T00:00:00Z" {
		t.Fatalf("%d %s; asked %v", code, problem, asked)
	}
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	check.NoError(t, err)
	if len(rows) != 2 || rows[0][0] != "id" || rows[1][0] != "1" || !slices.Contains(rows[1], "'=1+1") || strings.Count(out, "\r\n") != 2 {
		t.Errorf("%q", out)
	}
}

func TestExportRefusals(t *testing.T) {
	dir := t.TempDir()
	taken, resume := filepath.Join(dir, "taken"), filepath.Join(dir, "resume")
	check.NoError(t, os.WriteFile(taken, []byte("mine"), 0o600))
	to := func(receiver string, more ...string) []string {
		return append([]string{"--to", receiver, "--resume", filepath.Join(t.TempDir(), "state")}, more...)
	}
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"nowhere":            {nil, "say where the events go"},
		"two places":         {[]string{"-o", "-", "--to", "syslog:a:1"}, "say where the events go"},
		"no memory":          {[]string{"--to", "syslog:a:1"}, "--resume"},
		"once to a file":     {[]string{"-o", "-", "--once"}, "--once"},
		"no batch":           {[]string{"-o", "-", "--batch", "0"}, "--batch"},
		"no time":            {[]string{"-o", "-", "--since", "2026-11-23T00:00:00Z", "--until", "2026-11-23T00:00:00Z"}, "--until"},
		"no moment":          {[]string{"-o", "-", "--since", "yesterday"}, "--since"},
		"a file of others":   {[]string{"-o", taken}, "exists"},
		"no folder":          {[]string{"-o", "-", "--resume", filepath.Join(resume, "x")}, "folder"},
		"unknown receiver":   {to("kafka:x"), "webhook:URL"},
		"a table":            {to("webhook:https://a.example", "--format", "csv"), "--format"},
		"no secret":          {to("webhook:https://a.example"), "whsec_"},
		"a webhook in clear": {to("webhook:http://a.example"), "https://"},
		"no port":            {to("syslog:a.example"), "syslog:HOST:PORT"},
		"short messages":     {to("syslog:a.example:1", "--max-message", "100"), "2048"},
		"half a pair":        {to("syslog:a.example:1", "--client-cert", taken), "--client-key"},
		"no certificates":    {to("syslog:a.example:1", "--ca", taken), "--ca"},
		"no bucket":          {to("s3:", "--s3-endpoint", "https://a.example"), "s3:BUCKET"},
		"no storage":         {to("s3:b"), "--s3-endpoint"},
		"no keys":            {to("s3:b", "--s3-endpoint", "https://a.example"), "GATEHOUSE_CLI_S3_ACCESS_KEY_FILE"},
	} {
		code, out, problem := run(t, []string{"GATEHOUSE_CLI_TOKEN=t"}, append([]string{"audit", "export", "--url", "http://127.0.0.1:1"}, c.args...)...)
		if code == 0 || out != "" || !strings.Contains(problem, c.want) || strings.Count(problem, "\n") != 1 {
			t.Errorf("%s: exit code %d, %q, %q, want one sentence with %q", name, code, out, problem, c.want)
		}
	}
	if text, err := os.ReadFile(taken); err != nil || string(text) != "mine" {
		t.Errorf("a file of others is changed: %q %v", text, err)
	}
}

// A session that ends in the midst of an export is replaced by another one; a wrong password is not
// tried twice.
func TestExportSignsInAgain(t *testing.T) {
	signIns, streams := 0, 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/sign-in"):
			if signIns++; signIns > 2 {
				w.WriteHeader(http.StatusUnauthorized)
			}
			_, _ = w.Write([]byte(`{"access_token":"a","refresh_token":"r"}`))
		case r.URL.Path == exported:
			if streams++; streams == 2 {
				if r.URL.Query().Get("cursor") != "c1" {
					t.Errorf("goes on after %q", r.URL.Query().Get("cursor"))
				}
				_, _ = w.Write([]byte(strings.SplitAfterN(events, "\n", 3)[2]))
				return
			}
			first := strings.SplitAfter(events, "\n")
			_, _ = w.Write([]byte(first[0] + first[1] + `{"error":{"status":401,"reason":"TOKEN_EXPIRED"}}` + "\n"))
		case strings.HasSuffix(r.URL.Path, "/refresh"):
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	t.Cleanup(s.Close)
	out := filepath.Join(t.TempDir(), "events")
	code, _, problem := run(t, []string{"GATEHOUSE_CLI_PASSWORD=p", "GATEHOUSE_URL=" + s.URL}, "audit", "export", "--email", "a@example.com", "-o", out, "--batch", "1")
	text, err := os.ReadFile(out)
	if code != 0 || err != nil || bytes.Count(text, []byte("\n")) != 2 || signIns != 2 {
		t.Errorf("%d %s; %d sign-ins, %v: %s", code, problem, signIns, err, text)
	}
	if code, _, problem := run(t, []string{"GATEHOUSE_CLI_PASSWORD=p", "GATEHOUSE_URL=" + s.URL}, "audit", "export", "--email", "a@example.com", "-o", out+"2"); code == 0 || signIns != 3 {
		t.Errorf("%d %s; %d sign-ins", code, problem, signIns)
	}
}
