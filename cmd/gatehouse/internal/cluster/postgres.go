package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gatehouse/gatehouse/internal/pg/pgserver"
)

const (
	// postgresPlace is where tasks find the server's programs.
	postgresPlace = "/opt/gatehouse/postgres"
	// nobody is the user that tasks run as.
	nobody = 65534
)

// volume makes the folder of the database, which the server's user owns.
func volume(path string) error {
	err := os.MkdirAll(path, 0o700)
	if err == nil {
		err = os.Chown(path, nobody, nobody)
	}
	if err != nil {
		return fmt.Errorf("make the volume of the database: %w", err)
	}
	return nil
}

// postgresRoots are the places of a PostgreSQL server's programs in a task's root by where they are on
// this machine: one that is installed, or one that is fetched once. The server looks for its
// libraries and templates beside its programs, and where a distribution has put them.
func (c *cluster) postgresRoots(ctx context.Context) (map[string]string, error) {
	bin, version, err := pgserver.Locate(ctx, filepath.Join(c.opts.Dir.Root(), "none"), progressWriter{c.opts.Progress})
	if err != nil {
		return nil, err
	}
	prefix := filepath.Dir(bin)
	roots := map[string]string{prefix: postgresPlace, "/usr/share/zoneinfo": "/usr/share/zoneinfo"}
	major, _, _ := strings.Cut(version, ".")
	for _, packaged := range []string{"/usr/lib/postgresql/" + major + "/lib", "/usr/share/postgresql/" + major} {
		if strings.HasPrefix(prefix, "/usr/lib/postgresql/") {
			roots[packaged] = packaged
		}
	}
	return roots, nil
}

// progressWriter reports what is written, as lines.
type progressWriter struct {
	progress func(format string, args ...any)
}

// Write reports one text.
func (w progressWriter) Write(text []byte) (int, error) {
	w.progress("  %s", strings.TrimSpace(string(text)))
	return len(text), nil
}
