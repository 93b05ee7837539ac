package migrations_test

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"testing"

	"github.com/gatehouse/gatehouse/services/authz/internal/postgres/migrations"
)

// A released migration has run somewhere and is never edited: a change of the schema is a new file, and a new line here.
func TestReleasedMigrationsAreUnchanged(t *testing.T) {
	released := map[string]string{
		"001_create_commands.sql": "54f52e9a1dc46449654db3ff2f8a199423188f8b14b9dd1a991f34bdc6a346f5",
		"002_create_outbox.sql":   "24301e29dd3ed296790cf636bfc677fb525d62c5eff8875e95c553d6504a214b",
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
