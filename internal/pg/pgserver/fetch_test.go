package pgserver

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// An archive in the cache that is not the pinned one is refused before anything of it runs. The test needs no network: the library
// takes what lies in its cache.
func TestFetchRefusesAnArchiveThatIsNotPinned(t *testing.T) {
	t.Parallel()
	archive, sum := pin()
	if sum == "" {
		t.Skip("no PostgreSQL is pinned for this kind of machine")
	}
	cache := t.TempDir()
	path := filepath.Join(cache, archive)
	if err := os.WriteFile(path, []byte("not an archive"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, err := Fetch(t.Context(), cache, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "not the one that is pinned") {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the archive is kept")
	}
}

func TestFindPrefersAnInstalledServer(t *testing.T) {
	t.Parallel()
	dir, version, err := Find(t.Context())
	if err != nil {
		t.Skipf("no server is installed on this machine: %v", err)
	}
	located, same, err := Locate(t.Context(), filepath.Join(t.TempDir(), "none"), io.Discard)
	if err != nil || located != dir || same != version {
		t.Errorf("Locate: %s %s, %v; Find: %s %s", located, same, err, dir, version)
	}
}
