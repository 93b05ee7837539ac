package owned_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gatehouse/gatehouse/internal/owned"
)

const nobody = 65534

// foreign is a folder and a file in it that belong to another user than this one.
func foreign(t *testing.T) (folder, file string) {
	t.Helper()
	if os.Geteuid() != 0 {
		return "/etc", "/etc/passwd"
	}
	folder = made(t, t.TempDir(), "foreign", 0o755)
	file = written(t, filepath.Join(folder, "file"), "planted", 0o644)
	for _, path := range []string{folder, file} {
		if err := os.Chown(path, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	return folder, file
}

func made(t *testing.T, parent, name string, mode fs.FileMode) string {
	t.Helper()
	path := filepath.Join(parent, name)
	if err := errors.Join(os.MkdirAll(path, 0o700), os.Chmod(path, mode)); err != nil {
		t.Fatal(err)
	}
	return path
}

func written(t *testing.T, path, text string, mode fs.FileMode) string {
	t.Helper()
	if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chmod(path, mode)); err != nil {
		t.Fatal(err)
	}
	return path
}

func linked(t *testing.T, target, path string) string {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// R88: the folders that may be used, and where they really are.
func TestFolder(t *testing.T) {
	dir := t.TempDir()
	own := made(t, dir, "own with blanks ä 中", 0o711)
	for path, want := range map[string]string{
		own:                                  own,
		filepath.Join(own, "later"):          filepath.Join(own, "later"),
		filepath.Join(own, "later/and/then"): filepath.Join(own, "later/and/then"),
		linked(t, own, filepath.Join(dir, "link")):                        own,
		filepath.Join(dir, "link", "later"):                               filepath.Join(own, "later"),
		linked(t, "own with blanks ä 中", filepath.Join(dir, "l")):         own,
		made(t, made(t, dir, "sticky", 0o777|fs.ModeSticky), "in", 0o700): filepath.Join(dir, "sticky", "in"),
	} {
		if got, err := owned.Folder(path); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", path, got, err, want)
		}
	}
}

// R88: what somebody else made or could change is refused, and the sentence says where.
func TestFolderOfOthers(t *testing.T) {
	dir := t.TempDir()
	other, _ := foreign(t)
	open := made(t, dir, "open", 0o777)
	for name, c := range map[string]struct{ path, want string }{
		"another user's":               {other, other + " belongs to "},
		"through a link":               {linked(t, other, filepath.Join(dir, "link")), other + " belongs to "},
		"others can write":             {open, open + " can be written by others"},
		"below what others can write":  {made(t, open, "below", 0o700), "it lies in " + open},
		"made later there":             {filepath.Join(open, "later", "and"), "it lies in " + open},
		"sticky, but the folder":       {made(t, dir, "sticky", 0o777|fs.ModeSticky), "can be written by others"},
		"a file":                       {written(t, filepath.Join(dir, "file"), "", 0o600), "is not a folder"},
		"a link to nothing":            {linked(t, filepath.Join(dir, "gone"), filepath.Join(dir, "dangling")), "link to something that does not exist"},
		"a link to a link to the same": {linked(t, "loop", filepath.Join(dir, "loop")), "loop"},
	} {
		if got, err := owned.Folder(c.path); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %q, %v, want a sentence with %q", name, got, err, c.want)
		}
	}
	if os.Geteuid() == 0 {
		group := made(t, dir, "group", 0o775)
		if err := os.Chown(group, -1, nobody); err != nil {
			t.Fatal(err)
		}
		if _, err := owned.Folder(group); err == nil || !strings.Contains(err.Error(), group+" can be written by others") {
			t.Errorf("a group can write: %v", err)
		}
		below := made(t, other, "of root", 0o700)
		if _, err := owned.Folder(below); err == nil || !strings.Contains(err.Error(), "it lies in "+other) {
			t.Errorf("an own folder that another user can replace: %v", err)
		}
	}
}

// R88: no secret, record or log of somebody else, or through a link.
func TestOpen(t *testing.T) {
	dir := t.TempDir()
	own := written(t, filepath.Join(dir, "own"), "mine", 0o600)
	if f, err := owned.Open(own, os.O_RDONLY, 0); err != nil {
		t.Error(err)
	} else {
		_ = f.Close()
	}
	_, file := foreign(t)
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ path, want string }{
		"another user's":    {file, " belongs to "},
		"a link":            {linked(t, own, filepath.Join(dir, "link")), "is a link"},
		"a link to nothing": {linked(t, filepath.Join(dir, "new"), filepath.Join(dir, "dangling")), "is a link"},
		"others can write":  {written(t, filepath.Join(dir, "open"), "", 0o666), "can be written by others"},
		"a pipe":            {pipe, "not a regular file"},
		"a folder":          {dir, "not a regular file"},
	} {
		f, err := owned.Open(c.path, os.O_RDONLY, 0)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want a sentence with %q", name, err, c.want)
		}
		if err == nil {
			_ = f.Close()
		}
	}
	if _, err := owned.Open(filepath.Join(dir, "dangling"), os.O_CREATE|os.O_WRONLY, 0o600); err == nil {
		t.Error("a file is made through a link")
	}
	if _, err := os.Stat(filepath.Join(dir, "new")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file was made through a link: %v", err)
	}
	if _, err := owned.Open(filepath.Join(dir, "none"), os.O_RDONLY, 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

// Nothing is lost of a file that is refused.
func TestTruncateAfterTheLook(t *testing.T) {
	path := written(t, filepath.Join(t.TempDir(), "file"), "kept", 0o666)
	truncate := func() error {
		f, err := owned.Open(path, os.O_WRONLY|os.O_TRUNC, 0)
		if err == nil {
			err = f.Close()
		}
		return err
	}
	if err := truncate(); err == nil {
		t.Error("others can write it: no error")
	}
	if raw, err := os.ReadFile(path); err != nil || string(raw) != "kept" {
		t.Errorf("%q, %v", raw, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := truncate(); err != nil {
		t.Error(err)
	}
	if raw, err := os.ReadFile(path); err != nil || len(raw) != 0 {
		t.Errorf("%q, %v", raw, err)
	}
}

// A file is replaced as a whole or not at all, and nothing is left behind.
func TestReplace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for _, text := range []string{"first", "second, and longer", ""} {
		if err := owned.Replace(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if info, statErr := os.Stat(path); err != nil || statErr != nil || string(got) != text || info.Mode() != 0o600 {
			t.Errorf("%q, %v, %v, want %q", got, info, err, text)
		}
	}
	target := filepath.Join(dir, "target")
	if err := errors.Join(os.WriteFile(target, []byte("kept"), 0o600), os.Remove(path), os.Symlink(target, path), owned.Replace(path, []byte("new"))); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(target); err != nil || string(got) != "kept" {
		t.Errorf("where a link led to: %q, %v", got, err)
	}
	if err := errors.Join(os.Remove(path), os.MkdirAll(filepath.Join(path, "in the way"), 0o700)); err != nil {
		t.Fatal(err)
	}
	if err := owned.Replace(path, []byte("new")); err == nil {
		t.Error("a folder was replaced")
	}
	if err := owned.Replace(filepath.Join(dir, "missing", "file"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in no folder: %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 2 {
		t.Errorf("left are %v, %v", left, err)
	}
}
