package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// commit is what a release is made of.
type commit struct {
	id   string
	time time.Time // when it was made, the only time in a release
}

var (
	released = regexp.MustCompile(`^v(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?$`) // semver.org, without build metadata
	between  = regexp.MustCompile(`-\d+-g[0-9a-f]+(-dirty)?$|-dirty$`)                             // git describe: after a tag
)

// look reads the commit, and refuses what no release can be made of.
func (r release) look(ctx context.Context) (commit, error) {
	if !released.MatchString(r.Version) || between.MatchString(r.Version) {
		return commit{}, fmt.Errorf("%q is no version of a release: tag the commit (git tag v0.1.0), or say make release VERSION=v0.1.0", r.Version)
	}
	changes, err := r.git(ctx, "status", "--porcelain", "--untracked-files=normal")
	if err != nil {
		return commit{}, err
	}
	if line, _, _ := strings.Cut(changes, "\n"); line != "" {
		return commit{}, fmt.Errorf("the checkout has changes that are not committed (%s): commit, stash or remove them, since a release is made of a commit", strings.TrimSpace(line))
	}
	tags, err := r.git(ctx, "tag", "--list", "--points-at", "HEAD", "v*")
	if err != nil {
		return commit{}, err
	}
	tagged, err := r.git(ctx, "tag", "--list", r.Version)
	if err != nil {
		return commit{}, err
	}
	if tagged != "" && !strings.Contains("\n"+tags, "\n"+r.Version+"\n") {
		return commit{}, fmt.Errorf("%s is the tag of another commit: check that one out, or choose the next version", r.Version)
	}
	if err := r.told(); err != nil {
		return commit{}, err
	}
	out, err := r.git(ctx, "log", "-1", "--format=%H %ct")
	if err != nil {
		return commit{}, err
	}
	id, seconds, _ := strings.Cut(strings.TrimSpace(out), " ")
	at, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return commit{}, fmt.Errorf("read the time of the commit: %w", err)
	}
	return commit{id: id, time: time.Unix(at, 0).UTC()}, nil
}

// told refuses a version of which the changelog does not tell; candidates need not be told of.
func (r release) told() error {
	text, err := os.ReadFile(filepath.Join(r.Root, "CHANGELOG.md"))
	if err != nil {
		return fmt.Errorf("read what has changed: %w", err)
	}
	if version := strings.TrimPrefix(r.Version, "v"); !strings.Contains(version, "-") && !strings.Contains(string(text), "\n## ["+version+"] - ") {
		return fmt.Errorf("CHANGELOG.md has no section [%s]: move what is under Unreleased there, run make baseline, and commit both", version)
	}
	return nil
}

// stamp is what the programs say of themselves: the version, and the commit as its build metadata
// (semver.org).
func (r release) stamp(c commit) string { return r.Version + "+" + c.id[:12] }

// files are those of the commit below some paths.
func (r release) files(ctx context.Context, paths []string) ([]string, error) {
	out, err := r.git(ctx, append([]string{"ls-files", "-z", "--"}, paths...)...)
	if err != nil {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(out, "\x00"), "\x00"), nil
}

func (r release) git(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = r.Root
	var problem bytes.Buffer
	cmd.Stderr = &problem
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(problem.String()))
	}
	return string(out), nil
}
