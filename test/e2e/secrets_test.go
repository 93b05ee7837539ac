package e2e_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/internal/testkit/golden"
)

// The names of secret files are a stored form: a platform that is started again over its state
// folder finds what it made before.
func TestSecretFilesKeepTheirNames(t *testing.T) {
	entries, err := os.ReadDir(filepath.Join(plat.State, "secrets"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	for _, want := range strings.Fields(golden.Read(t, "secrets.golden")) {
		if !slices.Contains(names, want) {
			t.Errorf("no %s among %v", want, names)
		}
	}
}
