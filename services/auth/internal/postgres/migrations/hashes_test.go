package migrations_test

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"testing"

	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/migrations"
)

// A released migration has run somewhere and is never edited: a change of the schema is a new file, and a new line here.
func TestReleasedMigrationsAreUnchanged(t *testing.T) {
	released := map[string]string{
		"001_create_logins_sessions_keys.sql": "84c2a7a1b97b96d7b0992c99028c559e322ba5a2131dba151c20cc0e5d9b3b74",
		"002_create_outbox.sql":               "3d2ab4a8619bedf1e0a2de2ac94c04b26f02e39a4e038170e61010cf275d6f47",
		"003_add_bootstrap.sql":               "92fdd0b3fea648685e7f55e672efa5c216ff4890dfd4d5c6d9c1cad45313df16",
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
