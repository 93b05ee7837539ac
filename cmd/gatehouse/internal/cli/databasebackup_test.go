package cli

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/database"
	"github.com/gatehouse/gatehouse/internal/pg/pgserver"
	"github.com/gatehouse/gatehouse/internal/plan"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
)

// prepared is a server with the roles and schemas of all programs, whose passwords are their names.
func prepared(t *testing.T) *pgserver.Server {
	t.Helper()
	server, _ := pgtest.Server(t)
	programs, err := database.Of(plan.Of(meshtest.Definition(t)), nil, func(role string) (config.Secret, error) { return config.NewSecret(role), nil })
	if err != nil {
		t.Fatal(err)
	}
	setup := database.Setup{Platform: "gatehouse", Database: plan.DatabaseName, Programs: programs, OwnServer: true}
	if err := setup.Run(t.Context(), server.SuperURL("postgres")); err != nil {
		t.Fatal(err)
	}
	return server
}

// asked runs statements as a role and returns the text that the last one selects.
func asked(t *testing.T, server *pgserver.Server, role string, statements ...string) (text string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server.URL(role, config.NewSecret(role), plan.DatabaseName).Reveal())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	for i, statement := range statements {
		if i == len(statements)-1 {
			err = conn.QueryRow(t.Context(), statement).Scan(&text)
		} else {
			_, err = conn.Exec(t.Context(), statement)
		}
		if err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	return text
}

// saved is what `database backup` writes.
func saved(t *testing.T, server *pgserver.Server) []byte {
	t.Helper()
	c := &databaseBackupCommand{archiveFlags{PostgresURL: server.SuperURL("postgres"), Programs: server.BinDir}}
	archive, err := c.archive(nil)
	if err != nil {
		t.Fatal(err)
	}
	cmd, err := archive.Save(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if command := strings.Join(cmd.Args, " "); strings.Contains(command, server.Password.Reveal()) {
		t.Errorf("the command line has the password: %s", command)
	}
	written, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return written
}

func restored(server *pgserver.Server, backup []byte) (string, error) {
	var out bytes.Buffer
	c := &databaseRestoreCommand{archiveFlags{PostgresURL: server.SuperURL("postgres"), Programs: server.BinDir}}
	err := c.restore(&Console{Out: &out, Err: io.Discard}, bytes.NewReader(backup))
	return out.String(), err
}

// What a server had is on another one, everything its owner's, and only once.
func TestABackupIsRestored(t *testing.T) {
	first, second := prepared(t), prepared(t)
	asked(t, first, "identity", "create table identity.note (id int primary key, text text)", "insert into identity.note values (1, 'acknowledged')", "select text from identity.note")
	backup := saved(t, first)
	asked(t, first, "identity", "insert into identity.note values (2, 'later')", "select text from identity.note where id = 2")
	out, err := restored(second, backup)
	if err != nil || !strings.Contains(out, "is what the backup holds") {
		t.Fatalf("%q, %v", out, err)
	}
	if got := asked(t, second, "identity", "select string_agg(text, ' ') || ' of ' || (select tableowner from pg_tables where tablename = 'note') from identity.note"); got != "acknowledged of identity" {
		t.Errorf("the other server has %q", got)
	}
	for role, schema := range map[string]string{"auth": "identity", "identity": "public"} { // as before
		if got := asked(t, second, role, "select has_schema_privilege('"+schema+"', 'create')::text"); got != "false" {
			t.Errorf("%s may make tables in %s", role, schema)
		}
	}
	if _, err := restored(second, backup); err == nil || !strings.Contains(err.Error(), "holds 1 tables of programs: end the programs, and restore into a new server") {
		t.Errorf("a second time: %v", err)
	}
}

// What cannot be restored changes nothing, and is one sentence without a password.
func TestRestoreRefuses(t *testing.T) {
	server := prepared(t)
	if out, err := restored(server, []byte("no archive")); err == nil || out != "" || !strings.Contains(err.Error(), "nothing was restored: pg_restore: ") {
		t.Errorf("something else: %q, %v", out, err)
	}
	fresh, _ := pgtest.Server(t)
	if _, err := restored(fresh, nil); err == nil || strings.Contains(err.Error(), fresh.Password.Reveal()) {
		t.Errorf("a server without the database: %v", err)
	}
	c := &databaseRestoreCommand{archiveFlags{PostgresURL: server.URL("identity", config.Secret{}, "postgres"), Programs: server.BinDir}}
	console := &Console{Environ: []string{"IDENTITY_PASSWORD=identity"}, Out: io.Discard, Err: io.Discard}
	if err := c.restore(console, bytes.NewReader(nil)); err == nil || !strings.Contains(err.Error(), "role identity is no superuser") {
		t.Errorf("not a superuser: %v", err)
	}
	c.Programs = filepath.Join(os.DevNull, "nowhere")
	c.PostgresURL = server.SuperURL("postgres")
	if err := c.restore(console, bytes.NewReader(nil)); err == nil || !strings.Contains(err.Error(), "name their folder with --programs") {
		t.Errorf("no programs: %v", err)
	}
	if got := asked(t, server, "identity", "select count(*)::text from pg_tables where schemaname = 'identity'"); got != "0" {
		t.Errorf("%s tables are there", got)
	}
}
