package cli

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"

	"github.com/gatehouse/gatehouse/internal/mesh"
)

// meshAt returns the definition that a git ref holds, for the repository whose root is dir. A ref
// from before there was one has an empty mesh, so that everything is new.
func meshAt(ctx context.Context, dir, ref string) (*mesh.Definition, error) {
	commit, err := git(ctx, dir, "rev-parse", "--verify", "--quiet", "--end-of-options", ref+"^{commit}")
	if err != nil {
		return nil, fmt.Errorf("no commit named %q in %s: fetch it or name another base", ref, dir)
	}
	id := strings.TrimSpace(string(commit))
	listed, err := git(ctx, dir, "ls-tree", id, "--", mesh.File)
	if err != nil {
		return nil, fmt.Errorf("look for %s at %s: %w", mesh.File, ref, err)
	}
	if len(listed) == 0 {
		return &mesh.Definition{}, nil
	}
	text, err := git(ctx, dir, "show", id+":./"+mesh.File)
	if err != nil {
		return nil, fmt.Errorf("read %s at %s: %w", mesh.File, ref, err)
	}
	definition, err := mesh.Decode(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("read %s at %s: %w", mesh.File, ref, err)
	}
	return definition, nil
}

// unchanged refuses a checkout with changes that are not committed: what a command adds could not
// be told from them. A folder without git has none.
func unchanged(ctx context.Context, dir string) error {
	if _, err := git(ctx, dir, "rev-parse", "--git-dir"); err != nil {
		return nil //nolint:nilerr // the error answers whether there is a repository
	}
	changes, err := git(ctx, dir, "status", "--porcelain")
	if err != nil {
		return fmt.Errorf("look for changes in %s: %w", dir, err)
	}
	if line, _, _ := strings.Cut(string(changes), "\n"); line != "" {
		return fmt.Errorf("%s has changes that are not committed (%s): commit or stash them first", dir, strings.TrimSpace(line))
	}
	return nil
}

func git(ctx context.Context, dir string, args ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, "git", args...)
	command.Dir = dir
	var problem bytes.Buffer
	command.Stderr = &problem
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(problem.String()))
	}
	return out, nil
}
