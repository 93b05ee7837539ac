package migrations_test

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"testing"

	"github.com/gatehouse/gatehouse/services/audit/internal/postgres/migrations"
)

// A released migration has run somewhere and is never edited: a change of the schema is a new file, and a new line here.
func TestReleasedMigrationsAreUnchanged(t *testing.T) {
	released := map[string]string{
		"001_create_events.sql": "219d10e9c74b9bb191fd7d8e35fe1a6f6179a3ee08aefd3b7203d47aa9fae84a",
		"002_create_outbox.sql": "cf2dce396c6f17df299b3b4cb16bff9cf7b9c62ba20fca758922b9fd05d191ab",
	}
	names, err := fs.Glob(migrations.Files, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	if len(names) != len(released) {
		t.Errorf("there are %d migrations, %d are listed here: add the hash of the new file", len(names), len(released))
	}
	for _, name := range names {
		content, err := fs.ReadFile(migrations.Files, name)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(content)
		if got := hex.EncodeToString(sum[:]); got != released[name] {
			t.Errorf("%s has hash %s, listed is %s: restore it and add a new migration instead", name, got, released[name])
		}
	}
}
