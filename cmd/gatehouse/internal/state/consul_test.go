package state_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
)

// R88: what somebody makes between the look and the making is seen.
func TestPlantedAfterOpen(t *testing.T) {
	target := t.TempDir()
	link := func(t *testing.T, path string) error {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		return os.Symlink(target, path)
	}
	planters := map[string]func(*testing.T, string) error{
		"the folder is a link":          link,
		"the folder above is a link":    func(t *testing.T, root string) error { t.Helper(); return link(t, filepath.Dir(root)) },
		"Consul's folder is a link":     func(t *testing.T, root string) error { t.Helper(); return link(t, filepath.Join(root, "consul")) },
		"the logs are a link":           func(t *testing.T, root string) error { t.Helper(); return link(t, filepath.Join(root, "logs")) },
		"others can write in it":        func(_ *testing.T, root string) error { return made(root, 0o777, os.Geteuid()) },
		"others can write to the logs":  func(_ *testing.T, root string) error { return made(filepath.Join(root, "logs"), 0o777, os.Geteuid()) },
		"others can write in the above": func(_ *testing.T, root string) error { return made(filepath.Dir(root), 0o777, os.Geteuid()) },
	}
	const nobody = 65534
	if os.Geteuid() == 0 {
		planters["another user's"] = func(_ *testing.T, root string) error { return made(root, 0o755, nobody) }
		planters["below another user's"] = func(_ *testing.T, root string) error { return made(filepath.Dir(root), 0o755, nobody) }
	}
	for name, planter := range planters {
		t.Run(name, func(t *testing.T) {
			sticky := filepath.Join(t.TempDir(), "sticky")
			if err := made(sticky, 0o777|os.ModeSticky, os.Geteuid()); err != nil {
				t.Fatal(err)
			}
			dir, err := state.Open(filepath.Join(sticky, "above", "state"))
			if err != nil {
				t.Fatal(err)
			}
			if err := planter(t, dir.Root()); err != nil {
				t.Fatal(err)
			}
			if err := dir.Prepare(); err == nil || !strings.Contains(err.Error(), "cannot be used") || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v, want a sentence", err)
			}
			if _, err := os.Stat(filepath.Join(dir.Root(), "secrets", "..", "up.lock")); err == nil {
				t.Error("it is used")
			}
		})
	}
}

func made(path string, mode os.FileMode, owner int) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	if err := os.Chmod(path, mode); err != nil {
		return err
	}
	return os.Lchown(path, owner, -1)
}

// The data of an older version are moved to where their user's number opens nothing, also after an
// interruption. Others' are left alone.
func TestConsulsDataAreMoved(t *testing.T) {
	for name, c := range map[string]struct {
		ours  bool
		place string // of the data before
		want  string
	}{
		"an older version's": {true, "consul", "consul/gatehouse-data"},
		"interrupted":        {true, ".gatehouse-consul", "consul/gatehouse-data"},
		"already there":      {true, "consul/gatehouse-data", "consul/gatehouse-data"},
		"somebody's":         {false, "consul", "consul"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := prepared(t)
			if c.ours {
				if err := dir.WriteSecret(state.ManagementToken, "token"); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.MkdirAll(filepath.Join(dir.Root(), c.place, "raft"), 0o700); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := dir.MakeConsul(); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := os.Stat(filepath.Join(dir.Root(), c.want, "raft")); err != nil {
				t.Error(err)
			}
			for _, path := range []string{filepath.Dir(dir.Consul()), dir.Consul()} {
				if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o700 {
					t.Errorf("%s: %v, %v", path, info, err)
				}
			}
		})
	}
}
