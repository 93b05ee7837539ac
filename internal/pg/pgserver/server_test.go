package pgserver_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/database"
	"github.com/gatehouse/gatehouse/internal/pg/pgserver"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
)

// log collects what a server writes.
type log struct {
	mu sync.Mutex
	bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.Write(p)
}

func (l *log) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.String()
}

func TestDurabilityIsOnAndNothingListensOutside(t *testing.T) {
	t.Parallel()
	server, process := pgtest.Server(t)
	conn, err := pgx.Connect(t.Context(), server.SuperURL("postgres").Reveal())
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "data_checksums": "on", "listen_addresses": "127.0.0.1",
		"unix_socket_directories": "", "password_encryption": "scram-sha-256", "server_encoding": "UTF8", "timezone": "UTC",
		"log_error_verbosity": "terse",
	} {
		var got string
		if err := conn.QueryRow(t.Context(), "select current_setting($1)", name).Scan(&got); err != nil || got != want {
			t.Errorf("%s = %q, %v; want %q", name, got, err, want)
		}
	}
	_ = conn.Close(t.Context())
	if err := process.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if database.Answers(t.Context(), server.SuperURL("postgres")) {
		t.Error("answers after Stop")
	}
}

func TestAcknowledgedWritesSurviveACrash(t *testing.T) {
	t.Parallel()
	server, process := pgtest.Server(t)
	write := func(sql string) {
		t.Helper()
		conn, err := pgx.Connect(t.Context(), server.SuperURL("postgres").Reveal())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close(t.Context()) }()
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	write("create table kept (id int); insert into kept values (1)")
	if err := process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := server.Init(t.Context()); err != nil {
		t.Errorf("a second Init does not leave the data alone: %v", err)
	}
	again, err := server.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = again.Kill() })
	write("do $$ begin assert (select count(*) from kept) = 1; end $$")
}

// R74: neither the superuser's nor a role's password reaches the server's log, not even when everything is logged.
func TestPasswordsDoNotReachTheLog(t *testing.T) {
	t.Parallel()
	const canary = "canary-4ee1"
	written := &log{}
	server := pgtest.Stopped(t)
	server.Log = written
	server.Password = config.NewSecret(canary)
	server.Settings = map[string]string{"log_statement": "all", "log_min_duration_statement": "0"}
	if err := server.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	process, err := server.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := database.EnsureRole(t.Context(), server.SuperURL("postgres"), "auth", config.NewSecret(canary), "auth"); err != nil {
		t.Fatal(err)
	}
	if err := database.EnsureRole(t.Context(), server.SuperURL("postgres"), "pg_auth", config.NewSecret(canary), "auth"); err == nil {
		t.Error("a reserved name is accepted")
	} else if strings.Contains(err.Error(), canary) {
		t.Errorf("the error holds the password: %v", err)
	}
	if err := process.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if text := written.text(); strings.Contains(text, canary) || !strings.Contains(text, "statement: begin") {
		t.Errorf("the log holds the password, or nothing:\n%s", text)
	}
}

func TestStartSaysWhyItCannot(t *testing.T) {
	t.Parallel()
	server, _ := pgtest.Server(t)
	second := pgtest.Stopped(t)
	if err := second.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	second.Port = server.Port
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := second.Start(ctx); err == nil || !strings.Contains(err.Error(), "ended at its start") {
		t.Errorf("on a taken port: %v", err)
	}
}

func TestInitRefusesForeignData(t *testing.T) {
	t.Parallel()
	server := pgtest.Stopped(t)
	if err := os.MkdirAll(server.DataDir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(server.DataDir, "PG_VERSION"), []byte("9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := server.Init(t.Context()); err == nil || !strings.Contains(err.Error(), "was made by PostgreSQL 9") {
		t.Errorf("data of another version: %v", err)
	}
	if _, _, err := pgserver.FindFor(t.Context(), server.DataDir); err == nil || !strings.Contains(err.Error(), "install it") {
		t.Errorf("a server for data of another version: %v", err)
	}
	other := pgtest.Stopped(t)
	if err := os.MkdirAll(filepath.Join(other.DataDir, "photos"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := other.Init(t.Context()); err == nil {
		t.Error("a folder with other things in it is taken")
	}
	other.Password = config.Secret{}
	if err := other.Init(t.Context()); err == nil || !strings.Contains(err.Error(), "needs a password") {
		t.Errorf("no password: %v", err)
	}
}

func TestDataDir(t *testing.T) {
	t.Parallel()
	closed := t.TempDir()
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	inside, err := pgserver.DataDir(filepath.Join(closed, "state"))
	if err != nil {
		t.Fatal(err)
	}
	account, err := pgserver.ServerAccount()
	if err != nil {
		t.Fatal(err)
	}
	if root := account != nil; root == strings.HasPrefix(inside, closed) {
		t.Errorf("as root %t: data in %s", root, inside)
	}
	other, err := pgserver.DataDir(filepath.Join(closed, "other"))
	if err != nil || other == inside {
		t.Errorf("two state folders share %s, %v", other, err)
	}
	if err := os.Mkdir(filepath.Join(closed, "state"), 0o700); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(closed, "link")
	if err := os.Symlink(filepath.Join(closed, "state"), link); err != nil {
		t.Fatal(err)
	}
	if same, err := pgserver.DataDir(link); err != nil || same != inside {
		t.Errorf("through a link: %s, %v, want %s", same, err, inside)
	}
	if account == nil {
		return
	}
	// An older version named the folder after the link.
	before, err := pgserver.DataDir(filepath.Join(closed, "named"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(before) })
	if err := errors.Join(os.MkdirAll(before, 0o755), os.Symlink(os.TempDir(), filepath.Join(closed, "named"))); err != nil {
		t.Fatal(err)
	}
	if found, err := pgserver.DataDir(filepath.Join(closed, "named")); err != nil || found != before {
		t.Errorf("data of an older version: %s, %v, want %s", found, err, before)
	}
}
