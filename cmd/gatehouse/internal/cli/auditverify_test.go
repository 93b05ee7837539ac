package cli_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/auditlog"
	"github.com/gatehouse/gatehouse/internal/auditlog/auditlogtest"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

const logOrigin = "example.com/audit/1"

// bundled is a bundle of one event of a log of three, cosigned, with the keys that belong to it.
func bundled(t *testing.T) (text []byte, key, witness auditlogtest.Key) {
	t.Helper()
	key, witness = auditlogtest.LogKey(t, logOrigin), auditlogtest.WitnessKey(t, "example.org/w")
	var l auditlogtest.Log
	var sealed []event.Sealed
	for i := range 3 {
		e := event.Event{
			ID: fmt.Sprintf("0192f0c1-2f6e-7c3a-9d55-%012x", i), Time: time.Unix(1, 0), Source: "identity", Action: "user.updated", Outcome: event.Success,
			Actor: event.Actor{Type: event.Service, ID: "gateway"}, ClientAddress: "203.0.113.7", ClientAgent: "curl",
		}
		s, err := e.Seal(rand.Reader)
		check.NoError(t, err)
		sealed = append(sealed, s)
		l.Add(t, s.Canonical)
	}
	signed, err := auditlogtest.Keys(t, []string{key.Text}, nil).Open(l.Checkpoint(t, 3, key))
	check.NoError(t, err)
	note, _, err := signed.Cosign(witness)
	check.NoError(t, err)
	var b bytes.Buffer
	w, err := auditlog.NewBundleWriter(&b, note, []string{key.Text})
	check.NoError(t, err)
	check.NoError(t, w.Add(auditlog.Entry{Index: 1, Canonical: sealed[1].Canonical, Personal: sealed[1].Personal[:1], Proof: l.Inclusion(t, 1, 3)}))
	check.NoError(t, w.Close())
	return b.Bytes(), key, witness
}

// An auditor's script sees by the exit code alone what it has: 0 good, 1 tampered, 2 not verified.
func TestAuditVerifyBundle(t *testing.T) {
	text, key, witness := bundled(t)
	dir := t.TempDir()
	file := func(name string, text []byte) string {
		path := filepath.Join(dir, name)
		check.NoError(t, os.WriteFile(path, text, 0o600))
		return path
	}
	good := file("good", text)
	changed := file("changed", bytes.Replace(text, []byte(`"leaf_index":1`), []byte(`"leaf_index":2`), 1))
	for name, c := range map[string]struct {
		args []string
		code int
		want string // in what is printed
	}{
		"good":                  {[]string{good, "--key", key.Text}, 0, "good: 1 event is in the trail as stored; of their personal values 1 are those that were hashed, and 1 are not in the bundle: erased, or not told to who wrote it\n"},
		"without a witness":     {[]string{good, "--key", key.Text}, 0, "not known: whether others were shown another history"},
		"with its witness":      {[]string{good, "--key", key.Text, "--witness", witness.Text}, 0, "cosigned by  example.org/w at 20"},
		"another witness":       {[]string{good, "--key", key.Text, "--witness", auditlogtest.WitnessKey(t, "example.net/w").Text}, 1, "TAMPERED: the checkpoint: the witness example.net/w has not cosigned it\n"},
		"changed":               {[]string{changed, "--key", key.Text}, 1, "TAMPERED: event 1 of the bundle (leaf 2): event 0192f0c1-2f6e-7c3a-9d55-000000000001: the proof"},
		"another key":           {[]string{good, "--key", auditlogtest.LogKey(t, logOrigin).Text}, 1, "TAMPERED: the checkpoint of the bundle"},
		"no key":                {[]string{good}, 2, "names " + key.Text},
		"a key that is none":    {[]string{good, "--key", "x"}, 2, "is none"},
		"a witness as the log":  {[]string{good, "--key", witness.Text}, 2, "that of a witness"},
		"no file":               {[]string{filepath.Join(dir, "none"), "--key", key.Text}, 2, "no such file"},
		"a folder":              {[]string{dir, "--key", key.Text}, 2, "is a folder"},
		"no bundle":             {[]string{file("empty", nil), "--key", key.Text}, 2, "this is no bundle"},
		"cut":                   {[]string{file("cut", text[:len(text)/2]), "--key", key.Text}, 2, "ends too early"},
		"nothing":               {nil, 2, "<file>"},
		"a flag that is none":   {[]string{good, "--kee", key.Text}, 2, "--kee"},
		"no key and no bundle":  {[]string{file("empty2", nil)}, 2, "this is no bundle"},
		"its bytes, one a line": {[]string{good, "--key", key.Text, "--print"}, 0, "good: 1 event"},
	} {
		code, out, problem := run(t, nil, append([]string{"audit", "verify", "bundle"}, c.args...)...)
		if code != c.code || !strings.Contains(out+problem, c.want) || strings.Contains(out+problem, "\x1b") {
			t.Errorf("%s: %d\n%s%s, want %d with %q", name, code, out, problem, c.code, c.want)
		}
	}
	_, out, _ := run(t, nil, "audit", "verify", "bundle", good, "--key", key.Text, "--print")
	if _, err := event.Parse([]byte(strings.TrimSuffix(out, "\n"))); err != nil {
		t.Errorf("%q: %v", out, err)
	}
}
