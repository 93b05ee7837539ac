package export_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/platform"
)

const (
	email    = "administrator@example.com"
	password = "correct horse battery staple"
)

// running starts a platform with an administrator for as long as the test runs.
func running(t *testing.T) *platform.Platform {
	t.Helper()
	offset, err := platform.FreeOffset(9000)
	check.NoError(t, err)
	p, err := platform.New(platform.Options{Offset: offset})
	check.NoError(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			p.PrintLogs(os.Stderr)
		}
		check.NoError(t, p.Close())
	})
	check.NoError(t, p.Up())
	secret, err := p.BootstrapSecret()
	check.NoError(t, err)
	body, err := json.Marshal(map[string]string{"secret": secret, "email": email, "password": password})
	check.NoError(t, err)
	answer, err := http.Post(p.URL()+"/api/v1/auth/bootstrap", "application/json", bytes.NewReader(body))
	check.NoError(t, err)
	check.NoError(t, answer.Body.Close())
	if answer.StatusCode != http.StatusCreated {
		t.Fatalf("bootstrap: status %d", answer.StatusCode)
	}
	return p
}

// The trail of a platform, to each receiver, with kills in between: what comes is what is stored,
// in its order, and every line of it is OCSF.
func TestPushesOfAPlatform(t *testing.T) {
	p := running(t)
	w := world{environ: []string{"GATEHOUSE_URL=" + p.URL(), "GATEHOUSE_CLI_EMAIL=" + email, "GATEHOUSE_CLI_PASSWORD=" + password}}
	imported(t, p)
	stored := func() (ids []string) {
		db, err := p.Database(t.Context())
		check.NoError(t, err)
		defer func() { _ = db.Close(t.Context()) }()
		rows, err := db.Query(t.Context(), "select id::text from audit.events order by position")
		check.NoError(t, err)
		ids, err = pgx.CollectRows(rows, pgx.RowTo[string])
		check.NoError(t, err)
		return ids
	}
	check.Within(t, time.Minute, "the import is in the trail", func() error {
		if n := len(stored()); n < events {
			return fmt.Errorf("%d events", n)
		}
		return nil
	})
	want := trail{least: events, ids: stored}
	t.Run("webhook", func(t *testing.T) { webhookAfterKills(t, w, want) })
	t.Run("syslog", func(t *testing.T) { syslogAfterKills(t, w, want) })
	t.Run("bucket", func(t *testing.T) { bucketAfterKills(t, w, want) })
	t.Run("a file that is OCSF", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "trail")
		w.export(t, "-o", file, "--format", "ocsf")
		lines, err := os.ReadFile(file)
		check.NoError(t, err)
		var got arrived
		for line := range bytes.Lines(lines) {
			var e struct{ Metadata struct{ UID string } }
			check.NoError(t, json.Unmarshal(line, &e))
			got.add(e.Metadata.UID)
		}
		got.whole(t, want, 1)
		all := bytes.SplitAfter(lines, []byte("\n"))
		valid(t, bytes.Join(slices.Concat(all[:100], all[len(all)-50:]), nil)) // the others are like some of these
	})
}

// imported creates so many users that the trail has enough events.
func imported(t *testing.T, p *platform.Platform) {
	t.Helper()
	t.Setenv("GATEHOUSE_CLI_PASSWORD", password)
	file := filepath.Join(t.TempDir(), "users.csv")
	table := strings.Builder{}
	table.WriteString("email\n")
	for n := range events {
		fmt.Fprintf(&table, "user%d@example.com\n", n)
	}
	check.NoError(t, os.WriteFile(file, []byte(table.String()), 0o600))
	db, err := p.Database(t.Context())
	check.NoError(t, err)
	defer func() { _ = db.Close(t.Context()) }()
	var organization string
	check.NoError(t, db.QueryRow(t.Context(), "select organization_id::text from identity.users limit 1").Scan(&organization))
	check.Within(t, time.Minute, "users are imported", func() error { // Authz learns of the administrator a moment later
		out, err := p.CLI(t.Context(), "users", "import", "--email", email, "--organization", organization, file)
		if err != nil {
			return errors.Join(err, errors.New(string(out)))
		}
		return nil
	})
}
