package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/pg/pgserver"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
)

// nonsense is what a shell has that was made for another database, and what Kubernetes adds for a
// Service named gatehouse.
func nonsense() []string {
	var all []string
	for _, name := range strings.Fields(`HOST HOSTADDR PORT DATABASE USER PASSWORD PASSFILE REQUIREAUTH CHANNELBINDING SERVICE SERVICEFILE OPTIONS APPNAME
		SSLMODE REQUIRESSL SSLNEGOTIATION SSLCOMPRESSION SSLCERT SSLKEY SSLPASSWORD SSLCERTMODE SSLROOTCERT SSLCRL SSLCRLDIR SSLSNI REQUIREPEER
		SSLMINPROTOCOLVERSION SSLMAXPROTOCOLVERSION GSSENCMODE KRBSRVNAME GSSLIB GSSDELEGATION CONNECT_TIMEOUT CLIENTENCODING TARGETSESSIONATTRS
		LOADBALANCEHOSTS MINPROTOCOLVERSION MAXPROTOCOLVERSION DATESTYLE TZ GEQO SYSCONFDIR LOCALEDIR DATA`) {
		all = append(all, "PG"+name+"=nonsense")
	}
	return append(all, "PATH="+filepath.Join(plat.Root, ".bin")+":/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
		"GATEHOUSE_PORT=tcp://10.96.0.7:8080", "GATEHOUSE_SERVICE_HOST=10.96.0.7", "GATEHOUSE_AUTH_SERVICE_PORT_HTTP=8080")
}

// shell runs the operator's command as words of a shell script, with nothing in its environment but
// env.
func shell(ctx context.Context, env []string, script string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "sh", append([]string{"-c", script, "sh", filepath.Join(plat.Bin, "gatehouse")}, args...)...)
	cmd.Env, cmd.Dir, cmd.WaitDelay = env, "/", 5*time.Second
	return cmd
}

// serves finds out whether a platform knows its users.
func serves(t *testing.T, url string) {
	t.Helper()
	login := map[string]string{"email": newEmail(), "password": password}
	profile := maps.Clone(login)
	profile["display_name"] = "Eve"
	for _, step := range []struct {
		path string
		body map[string]string
		want int
	}{{"/api/v1/auth/sign-up", profile, http.StatusCreated}, {"/api/v1/auth/sign-in", login, http.StatusOK}} {
		a, err := send(url, request{method: "POST", path: step.path, body: step.body})
		if err != nil || a.status != step.want {
			t.Fatalf("%s: %d %v\n%s", step.path, a.status, errOr(err), a.raw)
		}
	}
}

// On a server that other people use, `up` changes nothing that is theirs, and a second platform
// changes nothing of the first. Both are started by a shell that was made for another database.
func TestAnOperatorsServer(t *testing.T) {
	server, _ := pgtest.Server(t)
	conn, err := pgx.Connect(t.Context(), server.SuperURL("postgres").Reveal())
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{
		"create role clerk login createdb password 'theirs'", "create role team", "grant team to clerk", "comment on role clerk is 'of the company'",
		"create database shop owner clerk", "grant connect on database postgres to clerk", "create role archive login createdb password 'theirs'",
	} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	ours := "^(gatehouse|" + strings.Join(roles(t), "|") + ")$"
	before := pgtest.Others(t, server, ours, "template1", "shop")
	dir := t.TempDir()
	openToAll(t, dir)
	env := append(nonsense(), "GATEHOUSE_POSTGRES_URL="+server.SuperURL("postgres").Reveal())
	first := plat.Copy(filepath.Join(dir, "first"), 10000, env...)
	if err := first.Up(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = first.Down() })
	if after := pgtest.Others(t, server, ours, "template1", "shop"); after != before {
		t.Errorf("what belongs to others changed from\n%s\nto\n%s", before, after)
	}
	id, err := os.ReadFile(filepath.Join(first.State, "secrets", "platform.id"))
	if err != nil {
		t.Fatal(err)
	}
	all := pgtest.Others(t, server, "^$", "template1", "shop", "gatehouse")
	refusesToStart(t, env, []string{"GATEHOUSE_POSTGRES_URL", strings.TrimSpace(string(id)), "nothing was changed", "--adopt"},
		filepath.Join(plat.Bin, "gatehouse"), "up", "--state", filepath.Join(dir, "second"), "--port-offset", "11000", "--bin-dir", plat.Bin)
	if after := pgtest.Others(t, server, "^$", "template1", "shop", "gatehouse"); after != all {
		t.Errorf("a second platform changed\n%s\nto\n%s", all, after)
	}
	serves(t, first.URL())
}

// `up` in a shell that has nothing it could use: root with a closed umask, as the first process of
// a container that nohup started, and an ordinary user with an open umask and a state folder of odd
// letters. Neither has a HOME.
func TestUpInAnyShell(t *testing.T) {
	account, err := pgserver.ServerAccount()
	if err != nil {
		t.Fatal(err)
	}
	if account == nil {
		inAShell(t, "ordinary user", nil, "umask 0; exec", nil)
		return
	}
	inAShell(t, "first process of a container", nil, "umask 077; trap '' HUP; exec unshare --pid --fork --kill-child --mount-proc", inContainer)
	inAShell(t, "ordinary user", account, "umask 0; exec", nil)
}

// inAShell starts `up` by a script that ends where the command's words go.
func inAShell(t *testing.T, name string, account *pgserver.Account, script string, then func(*testing.T, *exec.Cmd, string)) {
	t.Run(name, func(t *testing.T) {
		dir := t.TempDir()
		openToAll(t, dir)
		parent := filepath.Join(dir, "für mich")
		state := filepath.Join(parent, "Zu stand") // is made
		if err := os.Mkdir(parent, 0o755); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		up := shell(ctx, nonsense(), script+` "$@"`, "up", "--state", state, "--port-offset", "10000", "--bin-dir", plat.Bin)
		if account != nil {
			up.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(account.UID), Gid: uint32(account.GID)}}
			if err := os.Chown(parent, account.UID, account.GID); err != nil {
				t.Fatal(err)
			}
		}
		written := filepath.Join(dir, "output")
		log, err := os.Create(written)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = log.Close() }()
		out := func() string {
			text, err := os.ReadFile(written)
			if err != nil {
				t.Error(err)
			}
			return string(text)
		}
		up.Stdout, up.Stderr = log, log
		if err := up.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- up.Wait() }()
		url := "http://127.0.0.1:18080"
		check.Within(t, time.Minute, "up", func() error {
			select {
			case err := <-ended:
				t.Fatalf("it ended: %v\n%s", err, out())
			default:
			}
			if text := out(); !strings.Contains(text, "healthy after ") {
				return errors.New(text)
			}
			return nil
		})
		serves(t, url)
		if then != nil {
			then(t, up, state)
		} else if err := up.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("it ended with %v\n%s", err, out())
			}
		case <-time.After(45 * time.Second):
			t.Error("it does not end")
		}
	})
}

// inContainer looks at a platform from beside it in its container, and ends it from there.
func inContainer(t *testing.T, up *exec.Cmd, state string) {
	t.Helper()
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", up.Process.Pid, up.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	first, err := strconv.Atoi(strings.TrimSpace(string(children)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(first, syscall.SIGHUP); err != nil { // the terminal goes, and nohup was asked for
		t.Fatal(err)
	}
	inside := func(script string, args ...string) string {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := shell(ctx, nonsense(), `exec nsenter -t `+strconv.Itoa(first)+` -p -m `+script+` "$@"`, args...)
		out, err := cmd.CombinedOutput()
		if killed := errors.As(err, new(*exec.ExitError)) && cmd.ProcessState.ExitCode() < 0; err != nil && (args[0] != "down" || !killed) {
			t.Errorf("%v: %v\n%s", args, err, out) // the container ends with `up`, and may take `down` along
		}
		return string(out)
	}
	if out := inside("", "status", "--state", state); strings.Count(out, "passing") < 6 {
		t.Errorf("status: %s", out)
	}
	if out := inside("", "env", "--state", state); !strings.Contains(out, "export GATEHOUSE_URL=") {
		t.Errorf("env: %s", out)
	}
	inside(`sh -c 'sh -c "sleep 0.1 &"' sh`, "an orphan")
	check.Within(t, 10*time.Second, "no zombie", func() error {
		if out := inside(`sh -c 'cat /proc/[0-9]*/stat' sh`, "all"); strings.Contains(out, ") Z ") {
			return errors.New(out)
		}
		return nil
	})
	inside("", "down", "--state", state)
}
