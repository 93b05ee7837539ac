package scaffold_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/scaffold"
)

// Whoever changes the kernel learns here that the templates must follow. What needs the generated
// code of the new contract is left to make test-new-service.
func TestDomainAndStoreCompile(t *testing.T) {
	root, err := filepath.Abs("../../../..")
	if err != nil {
		t.Fatal(err)
	}
	const name = "scaffolded" // in no checkout
	written := checkout(t, 8080)
	paths, err := scaffold.Service(written, name)
	if err != nil {
		t.Fatal(err)
	}
	replace := map[string]string{}
	for _, path := range paths {
		replace[filepath.Join(root, path)] = filepath.Join(written, path)
	}
	// What `make generate` makes of the contract, as far as the domain needs it.
	reason := filepath.Join(t.TempDir(), "reason.go")
	source := "package reason\n\nimport \"github.com/gatehouse/gatehouse/internal/apierr\"\n\nfunc ItemNotFound() *apierr.Error { return apierr.ObjectNotFound() }\n"
	if err := os.WriteFile(reason, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	replace[filepath.Join(root, "proto/gen/go/gatehouse", name, "v1/reason/reason.go")] = reason
	raw, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	overlay := filepath.Join(t.TempDir(), "overlay.json")
	if err := os.WriteFile(overlay, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "build", "-overlay", overlay, "./services/"+name+"/internal/item/...", "./services/"+name+"/internal/postgres/...")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("the templates of a new service no longer compile: %v\n%s", err, out)
	}
}
