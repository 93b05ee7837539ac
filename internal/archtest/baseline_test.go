package archtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/programs"
)

const breaking = "../../tools/breaking"

// What later contracts must not break is kept, and is all of it.
func TestBaselineHasEveryContract(t *testing.T) {
	image, err := os.ReadFile("../../proto/baseline.binpb")
	if err != nil {
		t.Fatal(err)
	}
	var files descriptorpb.FileDescriptorSet // a Buf image is one
	if err := proto.Unmarshal(image, &files); err != nil {
		t.Fatal(err)
	}
	var packages []string
	for _, f := range files.GetFile() {
		packages = append(packages, f.GetPackage())
	}
	for _, name := range []string{"audit", "auth", "authz", "gateway", "identity"} { // a program since is not of that release
		if !slices.Contains(packages, "gatehouse."+name+".v1") || !slices.Contains(programs.Names(), name) {
			t.Errorf("the contract of %s is not kept", name)
		}
	}
}

// Without the image there would be nothing to compare with, and any change would pass.
func TestBreakingFailsWithoutTheBaseline(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, image := range map[string]string{"missing": empty + "-not", "empty": empty} {
		cmd := exec.Command(breaking)
		cmd.Env = append(os.Environ(), "BASELINE="+image)
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "no contract to compare with") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}
