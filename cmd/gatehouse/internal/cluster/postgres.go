package cluster

import (
	"context"
	"fmt"
	"os"
	"os/exec"
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
// libraries and templates beside its programs, or where a distribution has put them.
func postgresRoots(ctx context.Context, folder string, progress func(format string, args ...any)) (map[string]string, error) {
	bin, version, err := pgserver.Locate(ctx, filepath.Join(folder, "none"), progressWriter{progress})
	if err != nil {
		return nil, err
	}
	roots := map[string]string{filepath.Dir(bin): postgresPlace}
	major, _, _ := strings.Cut(version, ".")
	for _, packaged := range []string{"/usr/lib/postgresql/" + major + "/lib", "/usr/share/postgresql/" + major} {
		if strings.HasPrefix(bin, "/usr/lib/postgresql/") {
			roots[packaged] = packaged
		}
	}
	for _, file := range []string{"/bin/sh", "/usr/share/zoneinfo/UTC"} { // initdb starts the server by the shell; times are in UTC
		if err := addFile(roots, file); err != nil {
			return nil, err
		}
	}
	for _, program := range []string{filepath.Join(bin, "postgres"), filepath.Join(bin, "initdb"), "/bin/sh"} {
		if err := addLibraries(ctx, roots, program); err != nil {
			return nil, err
		}
	}
	for _, program := range []string{"pg_dump", "pg_restore"} { // `gatehouse database backup`; a server that is fetched comes without
		if _, err := os.Stat(filepath.Join(bin, program)); err != nil {
			continue
		}
		if err := addLibraries(ctx, roots, filepath.Join(bin, program)); err != nil {
			return nil, err
		}
	}
	return roots, nil
}

// addFile adds a file by its name: a link to it would be one to nothing in the task's root.
func addFile(roots map[string]string, name string) error {
	file, err := filepath.EvalSymlinks(name)
	if err != nil {
		return fmt.Errorf("find what the database server needs: %w", err)
	}
	roots[file] = name
	return nil
}

// addLibraries adds what a program is linked with.
func addLibraries(ctx context.Context, roots map[string]string, program string) error {
	out, err := exec.CommandContext(ctx, "ldd", program).Output()
	if err != nil {
		return fmt.Errorf("list what %s is linked with: %w", program, err)
	}
	for line := range strings.Lines(string(out)) {
		_, found, ok := strings.Cut(line, " => /")
		if !ok {
			continue // the kernel's, or the loader
		}
		name, _, _ := strings.Cut("/"+found, " (")
		if err := addFile(roots, name); err != nil {
			return err
		}
	}
	return nil
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
