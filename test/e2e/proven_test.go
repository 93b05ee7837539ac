package e2e_test

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// proven is a platform whose log somebody else watches, and the auditor who verifies it.
type proven struct {
	accounts
	admin   person
	dir     string // of the auditor and the witness
	address string // of the witness
	key     string // of the log, as the auditor has pinned it
	witness string // its key, too
}

// An auditor proves over the public door, with `gatehouse audit` and a witness in a process of its
// own, that the trail only grew. What the database's superuser changes is found where it is, what
// is cut off is found against what is kept outside, and what is erased leaves every proof as it was
// (G7, R69, R70, R72).
func TestTrailIsProven(t *testing.T) {
	v := newProven(t)
	name := rand.Text()
	planted := v.person(newEmail(), name)
	v.grows(300)
	v.witnessed()
	before := v.bundle("before.json", planted)
	v.erases(planted, name, before)
	after := v.bundle("after.json", planted)
	if out := v.offline(after); strings.Contains(out, " and 0 are not in the bundle") {
		t.Errorf("of the person who was erased: %s", out)
	}
	v.tampered()
	v.rewound()
	check.NoError(t, v.p.Down())
	for _, bundle := range []string{before, after} { // nothing of the platform runs any more
		v.offline(bundle)
	}
}

// newProven starts a platform, and a witness as soon as the key of the log is known.
func newProven(t *testing.T) proven {
	t.Helper()
	v := proven{dir: t.TempDir(), address: "127.0.0.1:13380"} // its own port, and the platform's offset
	memory := filepath.Join(v.dir, "witness")
	v.accounts = accounts{t: t, secrets: map[string]string{}}
	made, err := v.watcher(memory, "--new-key", "witness.example.org").Output()
	check.NoError(t, err)
	v.witness = strings.TrimSpace(string(made))
	v.p = plat.Copy(filepath.Join(plat.Dir, "proven"), 6000, "GATEHOUSE_AUDIT_WITNESSES=http://"+v.address+" "+v.witness)
	check.NoError(t, v.p.Up())
	t.Cleanup(func() { _ = v.p.Down() })
	v.admin = v.administrator()
	v.p = v.p.Copy(v.p.State, 6000, "GATEHOUSE_CLI_TOKEN="+v.admin.access)
	v.delivered() // the administrator's right
	check.Within(t, 20*time.Second, "the log has a key", func() (err error) {
		v.key, err = v.tries("key")
		v.key = strings.TrimSpace(v.key)
		return err
	})
	v.watches(memory)
	return v
}

// watcher is the witness's command, which is told of the platform what its arguments say.
func (v proven) watcher(memory string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(plat.Bin, "gatehouse"), append([]string{"audit", "witness", "--state", memory}, args...)...)
	cmd.Env, cmd.Dir = []string{"HOME=" + v.dir}, v.dir
	return cmd
}

// watches runs the witness until the test ends.
func (v proven) watches(memory string) {
	v.t.Helper()
	log, err := os.Create(filepath.Join(v.dir, "witness.log"))
	check.NoError(v.t, err)
	cmd := v.watcher(memory, "--log", v.key, "--listen", v.address)
	cmd.Stdout, cmd.Stderr = log, log
	check.NoError(v.t, cmd.Start())
	v.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		err := cmd.Wait()
		if text, _ := os.ReadFile(log.Name()); err != nil || v.t.Failed() {
			v.t.Logf("the witness ended with %v:\n%s", err, text)
		}
		_ = log.Close()
	})
}

// tries runs the auditor's command.
func (v proven) tries(args ...string) (string, error) {
	out, err := v.p.CLI(v.t.Context(), append([]string{"audit"}, args...)...)
	return string(out), err
}

// audit runs it once and wants the exit code.
func (v proven) audit(code int, args ...string) string {
	v.t.Helper()
	out, err := v.tries(args...)
	if got := exitCode(err); got != code {
		v.t.Fatalf("gatehouse audit %s: exit code %d, want %d: %v\n%s", strings.Join(args, " "), got, code, err, out)
	}
	return out
}

// offline verifies a bundle with the pinned keys and nothing else.
func (v proven) offline(bundle string) string {
	v.t.Helper()
	cmd := exec.CommandContext(v.t.Context(), filepath.Join(plat.Bin, "gatehouse"), "audit", "verify", "bundle", bundle, "--key", v.key, "--witness", v.witness)
	cmd.Env, cmd.Dir = []string{"HOME=" + v.dir}, v.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		v.t.Fatalf("verify %s: %v\n%s", bundle, err, out)
	}
	return string(out)
}

// exitCode is that of a command that ran, and -1 of one that did not.
func exitCode(err error) int {
	var ended *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &ended):
		return ended.ExitCode()
	}
	return -1
}

// person signs up under a name.
func (v proven) person(email, name string) person {
	v.t.Helper()
	first := v.password()
	v.post(201, "/api/v1/auth/sign-up", map[string]string{"email": email, "password": first, "display_name": name})
	return v.signsIn(email, first)
}

// grows waits until so many events are in the log, more than a tile of the tree has.
func (v proven) grows(events int) {
	v.t.Helper()
	var group errgroup.Group
	for range 4 {
		p := v.person(newEmail(), "Eve")
		group.Go(func() error {
			for n := range events / 4 {
				a, err := send(v.p.URL(), request{method: "PATCH", path: p.path(), bearer: p.access, body: map[string]string{"display_name": fmt.Sprint("Eve ", n)}})
				if err != nil || a.status != 200 {
					return fmt.Errorf("%d %w", a.status, errOr(err))
				}
			}
			return nil
		})
	}
	check.NoError(v.t, group.Wait())
	v.covered()
}

// delivered waits until every change has arrived where it goes.
func (v proven) delivered() {
	v.t.Helper()
	check.Within(v.t, 30*time.Second, "empty outboxes", func() error {
		var left int
		err := v.database(func(db *pgx.Conn) error {
			return db.QueryRow(v.t.Context(), `select (select count(*) from identity.outbox) + (select count(*) from auth.outbox) +
				(select count(*) from authz.outbox) + (select count(*) from audit.outbox) + (select count(*) from authz.commands where state = 'accepted')`).Scan(&left)
		})
		if err == nil && left > 0 {
			err = fmt.Errorf("%d are on their way", left)
		}
		return err
	})
}

// covered waits until everything that is stored is covered by a cosigned checkpoint, and returns how
// many events that are.
func (v proven) covered() (events int64) {
	v.t.Helper()
	v.delivered()
	check.Within(v.t, 30*time.Second, "a cosigned checkpoint over everything", func() error {
		var cosigned int64
		err := v.database(func(db *pgx.Conn) error {
			return db.QueryRow(v.t.Context(), `
				select (select max(position) from audit.events), (select coalesce(max(size), 0) from audit.cosignatures)`).Scan(&events, &cosigned)
		})
		if err == nil && cosigned < events {
			err = fmt.Errorf("%d events are stored and %d cosigned", events, cosigned)
		}
		return err
	})
	return events
}

// database does something as the superuser.
func (v proven) database(do func(*pgx.Conn) error) error {
	db, err := v.p.Database(v.t.Context())
	if err != nil {
		return err
	}
	defer func() { _ = db.Close(v.t.Context()) }()
	return do(db)
}

// witnessed verifies a log that nobody has touched, without a kept checkpoint and with one.
func (v proven) witnessed() {
	v.t.Helper()
	first := v.audit(0, "verify", "--key", v.key, "--witness", v.witness, "--checkpoint", v.kept())
	for _, want := range []string{"cosigned by  witness.example.org at ", "events are as they were signed", "Nothing in the database can tell"} {
		if !strings.Contains(first, want) {
			v.t.Errorf("the first verification lacks %q:\n%s", want, first)
		}
	}
	v.person(newEmail(), "Eve")
	v.covered()
	v.good()
}

// kept is the file in which the auditor keeps the last checkpoint.
func (v proven) kept() string { return filepath.Join(v.dir, "kept.note") }

// good verifies everything against the kept checkpoint.
func (v proven) good() {
	v.t.Helper()
	out := v.audit(0, "verify", "--key", v.key, "--checkpoint", v.kept())
	if !strings.Contains(out, "events are as they were signed") || !strings.Contains(out, "that was kept, and only grew since") {
		v.t.Errorf("an untouched log:\n%s", out)
	}
}

// bundle writes the events about a person into a file of the auditor and verifies them.
func (v proven) bundle(name string, about person) string {
	v.t.Helper()
	v.covered()
	file := filepath.Join(v.dir, name)
	v.audit(0, "bundle", file, "--object", "user:"+about.id, "--key", v.key, "--witness", v.witness)
	out := v.offline(file)
	if strings.Contains(out, "good: 0 events") || !strings.Contains(out, "in the trail as stored") {
		v.t.Errorf("a bundle of somebody's events:\n%s", out)
	}
	return file
}

// erases deletes a person, and erases it from the trail: no column of any table has the name or the
// address any more, and the bundle that was made before proves what it proved.
func (v proven) erases(p person, name, bundle string) {
	v.t.Helper()
	values := map[string]string{"the name": name, "the address": p.email}
	for what, value := range map[string]string{"the name": name, "the address": p.email} {
		values[what+" in hexadecimal"] = hex.EncodeToString([]byte(value))
	}
	if found := v.found(values); len(found) < 3 { // Identity's, Audit's and its words at least
		v.t.Fatalf("the values are in %q only", found)
	}
	v.call(204, "DELETE", p.path(), nil, v.admin.access)
	check.Within(v.t, 30*time.Second, "an erasure that leaves nothing", func() error {
		v.delivered()
		v.owner("erase", "--user", p.id, "--reason", "a test of erasure")
		if found := v.found(values); len(found) > 0 {
			return fmt.Errorf("the values are in %q", found)
		}
		return nil
	})
	v.good()
	v.offline(bundle)
}

// found names the tables that hold one of the values, in capitals or not.
func (v proven) found(values map[string]string) (tables []string) {
	v.t.Helper()
	for table, text := range dumped(v.t, v.p) {
		for _, value := range values {
			if bytes.Contains(bytes.ToLower(text), []byte(strings.ToLower(value))) && !slices.Contains(tables, table) {
				tables = append(tables, table)
			}
		}
	}
	return tables
}

// owner runs the program `audit` as the owner of the trail.
func (v proven) owner(args ...string) {
	v.t.Helper()
	cmd := exec.CommandContext(v.t.Context(), filepath.Join(plat.Bin, "audit"), args...)
	cmd.Env = []string{"GATEHOUSE_POSTGRES_URL_FILE=" + filepath.Join(v.p.State, "secrets", "postgres-audit_owner.url")}
	if out, err := cmd.CombinedOutput(); err != nil {
		v.t.Fatalf("audit %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}
