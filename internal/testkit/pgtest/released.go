package pgtest

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"testing"
	"testing/fstest"
)

// CheckReleased compares a service's migrations with the SHA-256 that each had when it was released, in hexadecimal. A released migration has
// run somewhere and is never edited: a change of the schema is a new file, and a new hash.
func CheckReleased(t testing.TB, files fs.FS, released map[string]string) {
	t.Helper()
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	if len(names) != len(released) {
		t.Errorf("there are %d migrations, %d are listed here: add the hash of the new file", len(names), len(released))
	}
	for _, name := range names {
		content, err := fs.ReadFile(files, name)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(content)
		if got := hex.EncodeToString(sum[:]); got != released[name] {
			t.Errorf("%s has hash %s, listed is %s: restore it and add a new migration instead", name, got, released[name])
		}
	}
}

// Before returns the migrations that come before the one of that name: a schema as it was.
func Before(t testing.TB, files fs.FS, name string) fs.FS {
	t.Helper()
	names, err := fs.Glob(files, "*.sql") // sorted
	if err != nil {
		t.Fatal(err)
	}
	before := fstest.MapFS{}
	for _, earlier := range names {
		content, err := fs.ReadFile(files, earlier)
		if err != nil {
			t.Fatal(err)
		}
		if earlier == name {
			return before
		}
		before[earlier] = &fstest.MapFile{Data: content}
	}
	t.Fatalf("there is no migration %s", name)
	return nil
}
