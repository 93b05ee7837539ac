// Package preflight finds out whether the platform can start before anything is started: programs
// and their versions, ports. Each refusal is one sentence that says how to fix it.
package preflight

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/host"
)

// Program is an executable that was found.
type Program struct {
	Path    string
	Version host.Version // zero for our own programs
}

// Programs are the executables a platform runs.
type Programs struct {
	Consul, Envoy Program
	Own           map[string]string // path by mesh name
}

// tool is a program of others that the platform runs.
type tool struct {
	name  string
	args  []string
	least host.Version
}

func tools() (consul, envoy tool) {
	return tool{name: "consul", args: []string{"version"}, least: host.Version{Major: 1, Minor: 22}},
		tool{name: "envoy", args: []string{"--version"}, least: host.Version{Major: 1, Minor: 36}}
}

// Find looks for Consul and Envoy in the folders, then on PATH, and for our own programs in binDir only: they must be of one build.
func Find(ctx context.Context, binDir string, own []string, folders ...string) (Programs, error) {
	found := Programs{Own: map[string]string{}}
	for _, name := range own {
		path := filepath.Join(binDir, name)
		if !executable(path) {
			return Programs{}, fmt.Errorf("the program %s was not found in %s: run `make build`, or name the folder of the programs with --bin-dir", name, binDir)
		}
		found.Own[name] = path
	}
	consul, envoy := tools()
	var both errgroup.Group
	both.Go(func() (err error) { found.Consul, err = consul.find(ctx, folders); return err })
	both.Go(func() (err error) { found.Envoy, err = envoy.find(ctx, folders); return err })
	return found, both.Wait()
}

// FindNomad looks for Nomad in the folders, then on PATH.
func FindNomad(ctx context.Context, folders ...string) (Program, error) {
	nomad := tool{name: "nomad", args: []string{"version"}, least: host.Version{Major: 1, Minor: 11}}
	return nomad.find(ctx, folders)
}

func (t tool) find(ctx context.Context, folders []string) (Program, error) {
	var candidates []string
	for _, folder := range folders {
		candidates = append(candidates, filepath.Join(folder, t.name))
	}
	if path, err := exec.LookPath(t.name); err == nil {
		candidates = append(candidates, path)
	}
	refused := ""
	for _, path := range candidates {
		if !executable(path) {
			continue
		}
		version, err := t.version(ctx, path)
		switch {
		case err != nil:
			refused = fmt.Sprintf("; %s does not say its version (%v)", path, err)
		case !version.AtLeast(t.least):
			refused = fmt.Sprintf("; %s is %s", path, version)
		default:
			absolute, err := filepath.Abs(path)
			if err != nil {
				return Program{}, fmt.Errorf("find %s: %w", t.name, err)
			}
			return Program{Path: absolute, Version: version}, nil
		}
	}
	return Program{}, fmt.Errorf("%s %s or newer was not found%s: run `make tools`, or put it on PATH", t.name, t.least, refused)
}

func (t tool) version(ctx context.Context, path string) (host.Version, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, t.args...)
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return host.Version{}, errors.New(strings.TrimSpace(err.Error() + " " + firstLine(string(out))))
	}
	return host.ParseVersion(string(out))
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}
