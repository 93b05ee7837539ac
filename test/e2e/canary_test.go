package e2e_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// No password, token or other secret gets into a log, a metric or the trail, whatever is done with it, right or wrong (R74).
func TestSecretsStayOutOfLogsAndTrail(t *testing.T) {
	t.Parallel()
	const first, typo, third, guess = "canary sings on the yellow wire", "canary sang on the yellow wire", "canary flew over yellow wires", "canary-guesses-a-bootstrap-secret-of-forty"
	secrets := map[string]string{"a password": first, "a mistyped password": typo, "a password in malformed JSON": third, "a guessed bootstrap secret": guess}
	canary := person{email: newEmail()}
	as := func(email, password string) map[string]string {
		return map[string]string{"email": email, "password": password}
	}
	post := func(want int, path string, body any, bearer string) answer {
		t.Helper()
		return call(t, want, request{method: "POST", path: path, body: body, bearer: bearer})
	}
	user, _ := post(http.StatusCreated, "/api/v1/auth/sign-up", as(canary.email, first), "").body["user"].(map[string]any)
	canary.id, _ = user["id"].(string)
	post(http.StatusConflict, "/api/v1/auth/sign-up", as(canary.email, typo), "")
	for range 3 {
		post(http.StatusUnauthorized, "/api/v1/auth/sign-in", as(canary.email, typo), "")
		post(http.StatusUnauthorized, "/api/v1/auth/sign-in", as(newEmail(), first), "")
	}
	post(http.StatusBadRequest, "/api/v1/auth/sign-in", `{"email": "x@example.com", "password": "`+third+`"`, "")
	post(http.StatusUnauthorized, "/api/v1/auth/bootstrap", map[string]string{"secret": guess, "email": newEmail(), "password": third}, "")
	in := post(http.StatusOK, "/api/v1/auth/sign-in", as(canary.email, first), "")
	again := post(http.StatusOK, "/api/v1/auth/refresh", map[string]any{"refresh_token": in.body["refresh_token"]}, "")
	canary.access, _ = again.body["access_token"].(string)
	call(t, http.StatusUnauthorized, request{method: "GET", path: canary.path() + "?access_token=" + canary.access})
	call(t, http.StatusUnauthorized, request{method: "GET", path: canary.path(), bearer: canary.access + "x"})
	call(t, http.StatusForbidden, request{method: "GET", path: "/api/v1/audit/events", bearer: canary.access})
	canary.rename(t, "Canary")
	for name, a := range map[string]answer{"first": in, "second": again} {
		for _, kind := range []string{"access_token", "refresh_token"} {
			token, _ := a.body[kind].(string)
			secrets["the "+name+" "+kind] = token
		}
	}
	arrives(t, canary, url.Values{"actor_id": {canary.id}, "action": {"permission.denied"}})
	post(http.StatusUnauthorized, "/api/v1/auth/refresh", map[string]any{"refresh_token": in.body["refresh_token"]}, "") // ends the session
	arrives(t, administrator(t), url.Values{"object_id": {canary.id}, "action": {"auth.session_refreshed"}, "outcome": {"failure"}})

	platformSecrets(t, secrets)
	lookThrough(t, secrets, logs(t))
	lookThrough(t, secrets, metrics(t))
	lookThrough(t, secrets, stored(t))
}

// platformSecrets adds what `up` made for the programs.
func platformSecrets(t testing.TB, secrets map[string]string) {
	t.Helper()
	folder := filepath.Join(plat.State, "secrets")
	for _, pattern := range []string{"*.secret", "*.password", "*.token", "*.key"} {
		paths, err := filepath.Glob(filepath.Join(folder, pattern))
		if err != nil || len(paths) == 0 {
			t.Fatalf("no secret %s in %s: %v", pattern, folder, err)
		}
		for _, path := range paths {
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			secrets[filepath.Base(path)] = strings.TrimSpace(string(raw))
		}
	}
}

// lookThrough fails for each secret, or the signature of a token, that a place holds.
func lookThrough(t testing.TB, secrets map[string]string, places map[string][]byte) {
	t.Helper()
	for name, secret := range secrets {
		if len(secret) < 16 {
			t.Fatalf("%s is %d bytes: too short to be looked for", name, len(secret))
		}
		if parts := strings.Split(secret, "."); len(parts) == 3 {
			secret = parts[2] // of a token, its signature is what nobody else has
		}
		for place, text := range places {
			if i := bytes.Index(text, []byte(secret)); i >= 0 {
				t.Errorf("%s holds %s: …%s…", place, name, bytes.ReplaceAll(text[max(0, i-200):i], []byte(secret), []byte("***")))
			}
		}
	}
}

// logs are those of every process.
func logs(t testing.TB) map[string][]byte {
	t.Helper()
	found := map[string][]byte{}
	err := filepath.WalkDir(filepath.Join(plat.State, "logs"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		found["the log "+entry.Name()], err = os.ReadFile(path)
		return err
	})
	if err != nil || len(found) < 15 {
		t.Fatalf("%d logs: %v", len(found), err)
	}
	return found
}

// metrics are those of every program.
func metrics(t testing.TB) map[string][]byte {
	t.Helper()
	found := map[string][]byte{}
	for _, s := range platformStatus(t).Services {
		if s.HTTP == "" || s.Name == "gateway" {
			continue
		}
		a, err := send("http://"+strings.TrimPrefix(s.HTTP, "http://"), request{method: "GET", path: "/metrics"})
		if err != nil || a.status != http.StatusOK {
			t.Fatalf("%s's metrics at %s: %d %v", s.Name, s.HTTP, a.status, err)
		}
		found["the metrics of "+s.Name] = a.raw
	}
	if len(found) < 4 {
		t.Fatalf("%d programs have metrics", len(found))
	}
	return found
}

// stored is every row of the trail and of what is on its way there. What is personal is kept apart, in the open; secrets never are.
func stored(t testing.TB) map[string][]byte {
	t.Helper()
	db, err := plat.Database(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close(t.Context()) }()
	found := map[string][]byte{}
	for table, column := range map[string]string{
		"audit.events": "encode(canonical, 'escape')", "audit.personal_values": "field || ' ' || value",
		"audit.outbox": "encode(payload, 'escape')", "auth.outbox": "encode(payload, 'escape')", "identity.outbox": "encode(payload, 'escape')",
		"authz.outbox": "encode(payload, 'escape')", "authz.commands": "commands::text",
		"auth.refusals": "refusals::text", "identity.refusals": "refusals::text", "audit.refusals": "refusals::text", "authz.refusals": "refusals::text",
	} {
		var text string
		ctx := t.Context()
		if err := db.QueryRow(ctx, fmt.Sprintf("select coalesce(string_agg(%s, E'\n'), '') from %s", column, table)).Scan(&text); err != nil {
			t.Fatalf("%s: %v", table, err)
		}
		found["the table "+table] = []byte(text)
	}
	if n := len(found["the table audit.events"]); n < 1000 {
		t.Fatalf("the trail has %d bytes", n)
	}
	return found
}
