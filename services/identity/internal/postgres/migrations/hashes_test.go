package migrations_test

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"testing"

	"github.com/gatehouse/gatehouse/services/identity/internal/postgres/migrations"
)

// A released migration has run somewhere and is never edited: a change of the schema is a new file, and a new line here.
func TestReleasedMigrationsAreUnchanged(t *testing.T) {
	released := map[string]string{
		"001_create_organizations_and_users.sql": "cf67cb0d28f2dc9cdad192e41b7b358e8e26d9a7015402fca464a664697fd385",
		"002_create_deleted_users.sql":           "c7e1488e2c7e19db381825fe9e4d6986190b639c13a422530a5afe82ea22c380",
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
