package witness_test

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/internal/auditlog/auditlogtest"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/witness"
)

// open opens a folder and closes it again.
func open(folder string, logs ...string) error {
	w, err := witness.Open(folder, logs, slog.New(slog.DiscardHandler))
	if err == nil {
		err = w.Close()
	}
	return err
}

// What was cosigned is remembered, also with another key of the log beside or in place of the
// first.
func TestMemory(t *testing.T) {
	key, next := auditlogtest.LogKey(t, origin), auditlogtest.LogKey(t, origin)
	folder := newFolder(t)
	l := logOf(t, 9, "leaf")
	first := serveOnce(t, folder, []string{key.Text}, body(0, nil, l.Checkpoint(t, 5, key)))
	if first.status != 200 {
		t.Fatalf("%+v", first)
	}
	for _, c := range []struct {
		logs   []string
		body   string
		status int
		text   string
	}{
		{[]string{key.Text}, body(0, nil, logOf(t, 9, "other").Checkpoint(t, 9, key)), 409, "5\n"},
		{[]string{key.Text, next.Text}, body(5, l.Consistency(t, 5, 6), l.Checkpoint(t, 6, next)), 200, "— "},
		{[]string{next.Text}, body(0, nil, l.Checkpoint(t, 9, next)), 409, "6\n"},
		{[]string{next.Text}, body(6, l.Consistency(t, 6, 7), l.Checkpoint(t, 7, key)), 403, "none of the keys"},
	} {
		if got := serveOnce(t, folder, c.logs, c.body); got.status != c.status || !strings.Contains(got.text, c.text) {
			t.Errorf("%+v, want %d with %q", got, c.status, c.text)
		}
	}
}

func serveOnce(t *testing.T, folder string, logs []string, body string) (got answer) {
	t.Helper()
	t.Run("", func(t *testing.T) { got = serve(t, folder, logs...).post(t, body) })
	return got
}

// A folder has one witness at a time, and a key once.
func TestOneWitness(t *testing.T) {
	key := auditlogtest.LogKey(t, origin)
	folder := newFolder(t)
	serve(t, folder, key.Text)
	if err := open(folder, key.Text); err == nil || !strings.Contains(err.Error(), "another process has it") {
		t.Errorf("a second witness: %v", err)
	}
	if _, err := witness.NewKey(rand.Reader, folder, "example.org/w"); err == nil {
		t.Error("a second key while the first one signs")
	}
	other := newFolder(t)
	if _, err := witness.NewKey(rand.Reader, other, "example.org/w"); err == nil || !strings.Contains(err.Error(), "has a key already") {
		t.Errorf("a second key: %v", err)
	}
	if _, err := witness.NewKey(rand.Reader, t.TempDir(), "a b"); err == nil {
		t.Error("a key of an impossible name")
	}
}

// Where its memory is damaged a witness does not start: with another memory it could cosign another
// history.
func TestDamagedMemory(t *testing.T) {
	key := auditlogtest.LogKey(t, origin)
	l := logOf(t, 9, "leaf")
	for name, c := range map[string]struct {
		damage func(t *testing.T, file string)
		want   string
	}{
		"cut":          {func(t *testing.T, file string) { check.NoError(t, os.Truncate(file, 40)) }, "is damaged"},
		"empty":        {func(t *testing.T, file string) { check.NoError(t, os.Truncate(file, 0)) }, "is damaged"},
		"another size": {func(t *testing.T, file string) { replace(t, file, "\n5\n", "\n4\n") }, "is damaged"},
		"too large":    {func(t *testing.T, file string) { check.NoError(t, os.Truncate(file, 1<<20)) }, "larger than anything"},
		"a link": {func(t *testing.T, file string) {
			check.NoError(t, os.Rename(file, file+"x"))
			check.NoError(t, os.Symlink(file+"x", file))
		}, "is a link"},
		"others can write": {func(t *testing.T, file string) { check.NoError(t, os.Chmod(file, 0o666)) }, "can be written by others"},
		"a lost key":       {func(t *testing.T, file string) { check.NoError(t, os.Remove(filepath.Join(filepath.Dir(file), "key"))) }, "--new-key"},
		"a damaged key": {func(t *testing.T, file string) {
			check.NoError(t, os.Truncate(filepath.Join(filepath.Dir(file), "key"), 20))
		}, "signing key is damaged"},
		"an open folder": {func(t *testing.T, file string) { check.NoError(t, os.Chmod(filepath.Dir(file), 0o777)) }, "can be written by others"},
		"another log's":  {func(t *testing.T, file string) { replace(t, file, origin, "example.com/audit/2") }, "is damaged"},
		"the key of others": {func(t *testing.T, file string) {
			check.NoError(t, os.Chmod(filepath.Join(filepath.Dir(file), "key"), 0o622))
		}, "can be written by others"},
	} {
		t.Run(name, func(t *testing.T) {
			folder := newFolder(t)
			if got := serveOnce(t, folder, []string{key.Text}, body(0, nil, l.Checkpoint(t, 5, key))); got.status != 200 {
				t.Fatalf("%+v", got)
			}
			c.damage(t, file(t, folder))
			if err := open(folder, key.Text); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// R88: a folder or a key of another user is refused.
func TestFolderOfAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIP: only root can give a folder away")
	}
	key := auditlogtest.LogKey(t, origin)
	for name, of := range map[string]func(folder string) string{
		"folder": func(folder string) string { return folder }, "key": func(folder string) string { return filepath.Join(folder, "key") },
	} {
		folder := newFolder(t)
		check.NoError(t, os.Chown(of(folder), 4711, -1))
		if err := open(folder, key.Text); err == nil || !strings.Contains(err.Error(), "belongs to") {
			t.Errorf("the %s of another user: %v", name, err)
		}
	}
}

// What a crash between two steps leaves behind: a text without a name is none yet.
func TestHalfWritten(t *testing.T) {
	key := auditlogtest.LogKey(t, origin)
	l := logOf(t, 9, "leaf")
	folder := newFolder(t)
	if got := serveOnce(t, folder, []string{key.Text}, body(0, nil, l.Checkpoint(t, 5, key))); got.status != 200 {
		t.Fatalf("%+v", got)
	}
	for _, left := range []string{"", "example.com/audit/1\n9", string(l.Checkpoint(t, 9, key))} {
		check.NoError(t, os.WriteFile(filepath.Join(folder, "."+filepath.Base(file(t, folder))+"-4711"), []byte(left), 0o600))
		if got := serveOnce(t, folder, []string{key.Text}, body(0, nil, l.Checkpoint(t, 6, key))); got.text != "5\n" {
			t.Errorf("%q was left behind: %+v", left, got)
		}
	}
	if got := serveOnce(t, folder, []string{key.Text}, body(5, l.Consistency(t, 5, 6), l.Checkpoint(t, 6, key))); got.status != 200 {
		t.Errorf("%+v", got)
	}
}

// Nothing is cosigned that could not be stored.
func TestFullDisk(t *testing.T) {
	key := auditlogtest.LogKey(t, origin)
	l := logOf(t, 9, "leaf")
	s := serve(t, newFolder(t), key.Text)
	if got := s.post(t, body(0, nil, l.Checkpoint(t, 5, key))); got.status != 200 {
		t.Fatalf("%+v", got)
	}
	check.NoError(t, os.Rename(s.folder, s.folder+"-away")) // no file can be made, as on a full disk
	if got := s.post(t, body(5, l.Consistency(t, 5, 6), l.Checkpoint(t, 6, key))); got.status != 500 || strings.Contains(got.text, s.folder) {
		t.Errorf("%+v", got)
	}
	check.NoError(t, os.Rename(s.folder+"-away", s.folder))
	if got := s.post(t, body(5, l.Consistency(t, 5, 7), l.Checkpoint(t, 7, key))); got.status != 200 {
		t.Errorf("when there is room again: %+v", got)
	}
}

func TestOpenRefuses(t *testing.T) {
	folder := newFolder(t)
	for name, c := range map[string]struct {
		logs []string
		want string
	}{
		"no log":       {nil, "knows the logs"},
		"a bad key":    {[]string{"x"}, "is none"},
		"its own key":  {[]string{auditlogtest.WitnessKey(t, "example.org/w").Text}, "that of a witness"},
		"a secret key": {[]string{auditlogtest.Secret(t, origin)}, "is none"},
	} {
		if err := open(folder, c.logs...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if err := open(t.TempDir(), auditlogtest.LogKey(t, origin).Text); err == nil || !strings.Contains(err.Error(), "--new-key") {
		t.Errorf("no key: %v", err)
	}
}

// file is where the last cosigned checkpoint lies.
func file(t *testing.T, folder string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(folder, "*.checkpoint"))
	if err != nil || len(found) != 1 {
		t.Fatalf("%v, %v", found, err)
	}
	return found[0]
}

func replace(t *testing.T, file, from, to string) {
	t.Helper()
	text, err := os.ReadFile(file)
	check.NoError(t, err)
	changed := strings.Replace(string(text), from, to, 1)
	if changed == string(text) {
		t.Fatal(fmt.Errorf("%q is not in %q", from, text))
	}
	check.NoError(t, os.WriteFile(file, []byte(changed), 0o600))
}
