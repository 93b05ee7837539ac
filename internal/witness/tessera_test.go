package witness_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/gatehouse/gatehouse/internal/auditlog"
	"github.com/gatehouse/gatehouse/internal/auditlog/auditlogtest"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// A stranger's log asks our witness: posix-oneshot of Tessera, as tools/tessera pins it, which
// verifies the cosignatures by a library of its own and publishes no checkpoint without those of
// its policy. A copy of it that was rewound gets none.
func TestTesseraAsksOurWitness(t *testing.T) {
	const name = "example.net/tessera"
	dir := t.TempDir()
	secret := auditlogtest.Secret(t, name)
	_, key, err := auditlog.LogKey(secret)
	check.NoError(t, err)
	s := serve(t, newFolder(t), key)
	write := func(file, text string) string {
		path := filepath.Join(dir, file)
		check.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	policy := write("policy", fmt.Sprintf("witness w %s %s\nquorum w\n", s.key, s.url))
	secret = write("key", secret)
	program := stranger(t, "tessera", "github.com/transparency-dev/tessera/cmd/examples/posix-oneshot")
	grow := func(storage string, batch, entries int, flags ...string) auditlog.Signed {
		t.Helper()
		for i := range entries {
			write(fmt.Sprintf("entry-%d-%d", batch, i), fmt.Sprint("entry ", batch, i))
		}
		cmd := exec.CommandContext(t.Context(), program, append(flags, "--storage_dir", storage, "--private_key", secret, "--witness_policy_file", policy,
			"--entries", filepath.Join(dir, fmt.Sprintf("entry-%d-*", batch)))...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		note, err := os.ReadFile(filepath.Join(storage, "checkpoint"))
		check.NoError(t, err)
		signed, err := auditlogtest.Keys(t, []string{key}, []string{s.key}).Open(note)
		check.NoError(t, err)
		return signed
	}
	storage, before := filepath.Join(dir, "log"), filepath.Join(dir, "before")
	size := int64(0)
	for batch, entries := range []int{1, 3, 300} {
		size += int64(entries)
		signed := grow(storage, batch, entries)
		if signed.Size != size || len(signed.Cosignatures) != 1 || signed.Cosignatures[0].Witness != "example.org/w" {
			t.Fatalf("of %d entries: %+v", size, signed)
		}
		shown, err := client(t, s.url, s.key).Latest(t.Context(), name, []string{key})
		if err != nil || shown.Checkpoint != signed.Checkpoint {
			t.Errorf("the witness shows %+v, %v", shown, err)
		}
		if batch == 1 {
			check.NoError(t, os.CopyFS(before, os.DirFS(storage)))
		}
	}
	if signed := grow(before, 3, 5, "--witness_fail_open"); signed.Size != 9 || len(signed.Cosignatures) != 0 {
		t.Errorf("the rewound copy: %+v", signed)
	}
}
