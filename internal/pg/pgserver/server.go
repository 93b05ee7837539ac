// Package pgserver runs a PostgreSQL server as an ordinary process, for the one-machine mode and for tests. What is in it,
// internal/database makes.
//
// It finds an installed server or fetches one, drops to an unprivileged user when we are root, and never turns durability off by
// itself. `gatehouse up` and internal/testkit/pgtest import it.
package pgserver

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/gatehouse/gatehouse/internal/config"
)

// Superuser is the role that owns the cluster. Only the process that runs the server knows its password; services never use it.
const Superuser = "postgres"

// Server is one data folder and how to serve it. It listens on 127.0.0.1 only and has no Unix socket.
type Server struct {
	BinDir   string            // from Find, FindFor or Locate
	DataDir  string            // absolute; Init makes it
	Port     int               // on 127.0.0.1
	Password config.Secret     // of Superuser; Init sets it
	Settings map[string]string // of postgresql.conf, over the defaults below
	Log      io.Writer         // takes what the server logs; nil discards it
}

// defaults are the settings that differ from PostgreSQL's own. fsync, full_page_writes and synchronous_commit stay on.
func defaults() map[string]string {
	return map[string]string{ //nolint:gosec // the name of a method
		"listen_addresses":        "127.0.0.1",
		"unix_socket_directories": "",
		"password_encryption":     "scram-sha-256",
		"max_connections":         "200",
		"log_error_verbosity":     "terse", // DETAIL would hold the values of rows, such as addresses of people
		"log_timezone":            "UTC",
		"timezone":                "UTC",
		"logging_collector":       "off",
		"jit":                     "off", // small queries only
	}
}

// Init makes the data folder, once: a folder that holds a cluster is left alone. It comes whole or not at all.
func (s *Server) Init(ctx context.Context) error {
	major, err := dataMajor(s.DataDir)
	if err != nil {
		return err
	}
	_, have, err := versionOf(ctx, s.BinDir)
	switch {
	case err != nil:
		return err
	case major != 0 && major != have:
		return fmt.Errorf("%s was made by PostgreSQL %d and the server found is %d: install PostgreSQL %d, or use another state folder", s.DataDir, major, have, major)
	case major != 0:
		return nil
	}
	account, err := ServerAccount()
	if err != nil {
		return err
	}
	if dir := account.closed(filepath.Dir(s.DataDir)); dir != "" {
		return fmt.Errorf("user %s, as which PostgreSQL runs, cannot enter %s: let it pass with `chmod o+x %s`, or choose a state folder that it can reach", account.Name, dir, dir)
	}
	fresh := s.DataDir + ".new"
	if err := s.initialize(ctx, account, fresh); err != nil {
		return err
	}
	_ = os.Remove(s.DataDir) // an empty folder may stand in the way; a full one makes Rename fail
	if err := os.Rename(fresh, s.DataDir); err != nil {
		return fmt.Errorf("put the data folder in place: %w", err)
	}
	return nil
}

// Command returns the server's command, not started, as the right user and with an environment of its own. The process ends in order on
// SIGINT (open transactions are rolled back) and in a hurry on SIGQUIT.
func (s *Server) Command() (*exec.Cmd, error) {
	account, err := ServerAccount()
	if err != nil {
		return nil, err
	}
	if dir := account.closed(s.BinDir); dir != "" {
		return nil, fmt.Errorf("user %s, as which PostgreSQL runs, cannot enter %s, where its programs are: open it with `chmod -R go+rX %s`", account.Name, dir, dir)
	}
	if err := s.freeDataDir(); err != nil {
		return nil, err
	}
	settings := defaults()
	maps.Copy(settings, s.Settings)
	settings["port"] = strconv.Itoa(s.Port)
	args := []string{"-D", s.DataDir}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	cmd := exec.Command(filepath.Join(s.BinDir, "postgres"), args...) //nolint:noctx // its owner ends it, in order
	cmd.Dir, cmd.Env, cmd.SysProcAttr = s.DataDir, environment(), account.attributes()
	cmd.Stdout, cmd.Stderr = s.Log, s.Log
	return cmd, nil
}

// URL is the address of a database for a role. Treat it as a secret.
func (s *Server) URL(role string, password config.Secret, database string) config.Secret {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(role, password.Reveal()),
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)), Path: "/" + database, RawQuery: "sslmode=disable",
	}
	return config.NewSecret(u.String())
}

// SuperURL is the address of a database for the superuser.
func (s *Server) SuperURL(database string) config.Secret {
	return s.URL(Superuser, s.Password, database)
}

// environment is all that the server's processes see of ours: nothing.
func environment() []string { return []string{"PATH=/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"} }

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

func freePort(ctx context.Context) (int, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().(*net.TCPAddr).Port, nil
}
