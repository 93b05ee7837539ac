package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	machine "github.com/gatehouse/gatehouse/cmd/gatehouse/internal/host"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/preflight"
)

// Programs are the executables a cluster runs.
type Programs struct {
	preflight.Programs

	Nomad preflight.Program
	CNI   string // folder of the plugins
}

// plugins are those that Nomad's bridge networks use.
func plugins() []string { return []string{"bridge", "firewall", "host-local", "loopback", "portmap"} }

// leastPlugins is the oldest version of the plugins by which Nomad checks a restored network.
func leastPlugins() machine.Version { return machine.Version{Major: 1, Minor: 3} }

// Find looks for what a cluster needs on this machine: it is root's, programs of others in binDir or
// on PATH, our own in binDir, commands of the system and parts of its kernel. Each refusal is one
// sentence that says how to fix it.
func Find(ctx context.Context, binDir string, own []string) (Programs, error) {
	var found Programs
	if os.Geteuid() != 0 {
		return found, errors.New("a cluster of hosts needs root, which makes their namespaces: run this with sudo, or run `make up`, which needs none")
	}
	var err error
	if found.Programs, err = preflight.Find(ctx, binDir, own, binDir); err != nil {
		return found, err
	}
	if found.Nomad, err = preflight.FindNomad(ctx, binDir); err != nil {
		return found, err
	}
	if found.CNI, err = findPlugins(ctx, filepath.Join(binDir, "cni"), "/opt/cni/bin"); err != nil {
		return found, err
	}
	return found, checkSystem(ctx)
}

// findPlugins returns the first of the folders in which all plugins are, in a version that is new
// enough.
func findPlugins(ctx context.Context, folders ...string) (string, error) {
	refused := ""
	for _, folder := range folders {
		problem := ""
		for _, name := range plugins() {
			path := filepath.Join(folder, name)
			if _, err := os.Stat(path); err != nil {
				problem = "none" // not worth a word: it is looked for in several places
				break
			}
			out, err := exec.CommandContext(ctx, path).CombinedOutput() // without a command they tell their version
			version, versionErr := machine.ParseVersion(string(out))
			switch {
			case err != nil || versionErr != nil:
				problem = path + " does not say its version"
			case !version.AtLeast(leastPlugins()):
				problem = fmt.Sprintf("%s is %s", path, version)
			}
		}
		if problem == "" {
			return folder, nil
		}
		if problem != "none" {
			refused += "; " + problem
		}
	}
	return "", fmt.Errorf("CNI plugins %s or newer (%s) were not found%s: run `make tools`", leastPlugins(), strings.Join(plugins(), ", "), refused)
}
