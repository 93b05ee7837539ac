package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
)

// version is the variable of the programs that says theirs; the gatehouse command's is main.version.
const version = "github.com/gatehouse/gatehouse/internal/program.version"

// program is one that was built.
type program struct {
	name, path, architecture string
}

// build compiles the programs for an architecture below a folder, with what `make build` has and without what would
// differ from one build to the next.
func (r release) build(ctx context.Context, c commit, folder, architecture string) ([]program, error) {
	folder = filepath.Join(folder, architecture)
	if err := os.Mkdir(folder, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the programs: %w", err)
	}
	stamp := r.stamp(c)
	link := fmt.Sprintf("-s -w -buildid= -X main.version=%s -X %s=%s", stamp, version, stamp)
	cmd := exec.CommandContext(ctx, "go", append([]string{
		"build", "-trimpath", "-buildvcs=false", "-ldflags", link, "-o", folder + string(filepath.Separator),
	}, r.Programs...)...)
	cmd.Dir, cmd.Stderr = r.Root, os.Stderr
	// What the shell or `go env -w` has decides nothing.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+architecture, "GOAMD64=v1", "GOARM64=v8.0",
		"GOEXPERIMENT=", "GOFLAGS=-mod=readonly", "GOWORK=off")
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("build the programs for %s: %w", architecture, err)
	}
	var built []program
	for _, pkg := range r.Programs {
		name := path.Base(pkg)
		built = append(built, program{name: name, path: filepath.Join(folder, name), architecture: architecture})
	}
	return built, nil
}
