package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/gatehouse/gatehouse/internal/database"
)

// errNone is the answer where nothing fits; Locate then fetches.
var errNone = errors.New("no PostgreSQL server of version 15 or newer is installed: install postgresql, or let Gatehouse fetch one")

// installed is a folder with server programs.
type installed struct {
	dir     string
	version string // "15.14"
	major   int
}

// Find returns the folder of an installed server's programs and their version: the one on PATH when it is new enough, otherwise the
// newest in the places where distributions put them.
func Find(ctx context.Context) (binDir, version string, err error) { return find(ctx, 0) }

// FindFor is Find for an existing data folder: only a server of the same major version can open it. A folder without data takes any.
func FindFor(ctx context.Context, dataDir string) (binDir, version string, err error) {
	major, err := dataMajor(dataDir)
	if err != nil {
		return "", "", err
	}
	return find(ctx, major)
}

func find(ctx context.Context, major int) (binDir, version string, err error) {
	var all []installed
	if path, err := exec.LookPath("postgres"); err == nil {
		all = appendInstalled(ctx, all, filepath.Dir(path))
	}
	var packaged []installed
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/libexec/postgresql*"} {
		dirs, _ := filepath.Glob(pattern) // the patterns are well formed
		for _, dir := range dirs {
			packaged = appendInstalled(ctx, packaged, dir)
		}
	}
	slices.SortStableFunc(packaged, func(a, b installed) int { return b.major - a.major })
	for _, one := range append(all, packaged...) {
		if major == 0 || one.major == major {
			return one.dir, one.version, nil
		}
	}
	if major != 0 {
		return "", "", fmt.Errorf("the data folder was made by PostgreSQL %d and that server is not installed: install it, or use another state folder: %w", major, errNone)
	}
	return "", "", errNone
}

// appendInstalled adds the folder when it holds a server that is new enough.
func appendInstalled(ctx context.Context, all []installed, dir string) []installed {
	if real, err := filepath.EvalSymlinks(filepath.Join(dir, "postgres")); err == nil {
		dir = filepath.Dir(real)
	}
	if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
		return all
	}
	version, major, err := versionOf(ctx, dir)
	if err != nil || major < database.MinMajor {
		return all
	}
	return append(all, installed{dir: dir, version: version, major: major})
}

var versionText = regexp.MustCompile(`\(PostgreSQL\) ((\d+)[0-9.a-z]*)`)

func versionOf(ctx context.Context, binDir string) (version string, major int, err error) {
	cmd := exec.CommandContext(ctx, filepath.Join(binDir, "postgres"), "--version") // found by us
	cmd.Env = environment()
	out, err := cmd.Output()
	if err != nil {
		return "", 0, fmt.Errorf("ask PostgreSQL for its version: %w", err)
	}
	match := versionText.FindStringSubmatch(string(out))
	if match == nil {
		return "", 0, fmt.Errorf("ask PostgreSQL for its version: it says %q", strings.TrimSpace(string(out)))
	}
	major, err = strconv.Atoi(match[2])
	return match[1], major, err
}

// dataMajor returns the major version that made a data folder, 0 when there is none yet.
func dataMajor(dataDir string) (int, error) {
	content, err := readFile(filepath.Join(dataDir, "PG_VERSION"))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the version of the data folder: %w", err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		return 0, fmt.Errorf("read the version of the data folder: %w", err)
	}
	return major, nil
}
