package cli

import (
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/platform"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
)

// Who starts a platform is told of the secrets that people need, and not of those that only
// programs read.
func TestWelcomeNamesWhatPeopleNeed(t *testing.T) {
	definition := meshtest.Definition(t)
	dir, err := state.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	text := welcome(platform.Options{Dir: dir, Definition: definition})
	line := "  bootstrap " + dir.SecretPath("bootstrap.secret") + " (single use: POST /api/v1/auth/bootstrap makes the first administrator)\n"
	if !strings.Contains(text, line) || strings.Contains(text, "auth-encryption.key") {
		t.Errorf("no line %q, or too many, in:\n%s", line, text)
	}
}
