package site_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/pg/pgserver"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// stage says what tasks find in their root: our programs and this one, Envoy, PostgreSQL, and what
// they are linked with.
func (s *site) stage(t *testing.T) {
	t.Helper()
	staged := s.file("programs")
	check.NoError(t, os.Mkdir(staged, 0o755))
	self, err := os.Executable()
	check.NoError(t, err)
	for name, from := range map[string]string{"site.test": self, "envoy": "", "gatehouse": "", "auth": "", "authz": "", "audit": "", "identity": "", "gateway": ""} {
		if from == "" {
			from = filepath.Join(s.Programs, name)
		}
		run(t, nil, "cp", "--reflink=auto", from, filepath.Join(staged, name))
		check.NoError(t, os.Chmod(filepath.Join(staged, name), 0o755))
	}
	bin, version, err := pgserver.Locate(t.Context(), s.file("none"), t.Output())
	check.NoError(t, err)
	s.Chroot = map[string]string{
		staged: "/opt/gatehouse/bin", filepath.Dir(bin): "/opt/gatehouse/postgres",
		"/etc/passwd": "/etc/passwd", "/etc/group": "/etc/group", "/etc/ssl/certs/ca-certificates.crt": "/etc/ssl/certs/ca-certificates.crt",
	}
	major, _, _ := strings.Cut(version, ".")
	for _, folder := range []string{"/usr/lib/postgresql/" + major + "/lib", "/usr/share/postgresql/" + major} {
		if strings.HasPrefix(bin, "/usr/lib/postgresql/") {
			s.Chroot[folder] = folder
		}
	}
	s.link(t, "/bin/sh")
	s.link(t, "/usr/share/zoneinfo/UTC")
	s.link(t, "/lib64/ld-linux-x86-64.so.2")
	for _, program := range []string{filepath.Join(bin, "postgres"), filepath.Join(bin, "initdb"), "/bin/sh", filepath.Join(staged, "envoy"), self} {
		out, err := exec.Command("ldd", program).Output()
		if err != nil {
			continue // it is static
		}
		for line := range strings.Lines(string(out)) {
			if _, found, ok := strings.Cut(line, " => /"); ok {
				name, _, _ := strings.Cut("/"+found, " (")
				s.link(t, name)
			}
		}
	}
	check.NoError(t, os.Mkdir(s.file("postgres"), 0o700))
	check.NoError(t, os.Chown(s.file("postgres"), 65534, 65534))
}

// link adds a file by its name, and not what that links to.
func (s *site) link(t *testing.T, name string) {
	t.Helper()
	file, err := filepath.EvalSymlinks(name)
	check.NoError(t, err)
	s.Chroot[file] = name
}

// groups are the control groups in which Nomad makes those of tasks, and the folders for what CNI
// keeps, that were not there before.
type groups []string

func before(t *testing.T) groups {
	t.Helper()
	const root = "/sys/fs/cgroup"
	found := groups{filepath.Join(root, "nomad.slice")}
	trees, err := os.ReadDir(root)
	check.NoError(t, err)
	for _, tree := range trees {
		if tree.IsDir() {
			found = append(found, filepath.Join(root, tree.Name(), "nomad"))
		}
	}
	for folder := range strings.FieldsSeq(cni) {
		found = append(found, folder)
	}
	var missing groups
	for _, group := range found {
		if _, err := os.Stat(group); errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, group)
		}
	}
	return missing
}

// remove removes them; what was in them has been killed.
func (g groups) remove(t *testing.T) {
	t.Helper()
	for _, group := range g {
		check.Within(t, 20*time.Second, "the end of "+group, func() error {
			// Of CNI only places are left, for what was in them was the host's.
			out, err := exec.Command("find", group, "-depth", "-type", "d", "-exec", "rmdir", "{}", ";").CombinedOutput()
			if _, gone := os.Stat(group); errors.Is(gone, fs.ErrNotExist) {
				return nil
			}
			return fmt.Errorf("%w: %s", err, out)
		})
	}
}
