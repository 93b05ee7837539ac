// Package owned opens folders and files that belong to whoever runs the program and that nobody
// else can change: a state folder, its secrets, its record and its logs. What another user has
// planted, or could, is refused with a sentence that names it, and links in the place of files are
// never followed.
//
// The supervisor, the CLI and what it runs import it. Linux only.
package owned

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Folder returns the place of a folder, with links on the way to it followed. It need not exist
// yet. Where it does, it is a folder of this user that nobody else can write in; and nobody but
// root and this user can put another one in its place.
func Folder(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("find %s: %w", path, err)
	}
	place, rest, err := resolve(path)
	if err != nil {
		return "", err
	}
	if rest == "" {
		if err := Part(place); err != nil {
			return "", err
		}
		place, rest = filepath.Dir(place), filepath.Base(place)
	}
	for above := place; ; above = filepath.Dir(above) {
		if err := leadsOn(above); err != nil {
			return "", err
		}
		if above == filepath.Dir(above) {
			return filepath.Join(place, rest), nil
		}
	}
}

// Part refuses what is not a folder of this user, is a link, or can be written by others. What does
// not exist is fine.
func Part(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at %s: %w", path, err)
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a folder: move it away", path)
	}
	return ours(path, info)
}

// Open opens a regular file of this user that nobody else can write, as os.OpenFile does, or makes
// it. It follows no link.
func Open(path string, flag int, perm fs.FileMode) (*os.File, error) {
	// O_NONBLOCK: what is not a regular file must not make us wait. O_TRUNC comes after the look.
	f, err := os.OpenFile(path, flag&^os.O_TRUNC|unix.O_NOFOLLOW|unix.O_NONBLOCK, perm)
	if errors.Is(err, unix.ELOOP) {
		return nil, fmt.Errorf("%s is a link, which is not followed: remove it", path)
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		err = fmt.Errorf("%s is not a regular file: remove it", path)
	default:
		err = ours(path, info)
	}
	if err == nil && flag&os.O_TRUNC != 0 {
		err = f.Truncate(0)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Replace makes the text the whole content of a file of mode 0600. When it returns, that survives a
// loss of power; when it fails, or the process is killed, the file is as it was.
func Replace(path string, text []byte) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+"-*") // CreateTemp makes it 0600
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// resolve splits a path into the part that exists, without links, and the rest.
func resolve(path string) (place, rest string, err error) {
	for {
		place, err = filepath.EvalSymlinks(path)
		switch _, missing := os.Lstat(path); {
		case err == nil:
			return place, rest, nil
		case errors.Is(err, fs.ErrPermission):
			return "", "", unreachable(path, err)
		case !errors.Is(err, fs.ErrNotExist):
			return "", "", fmt.Errorf("find %s: %w", path, err)
		case missing == nil:
			return "", "", fmt.Errorf("%s is a link to something that does not exist: make that, or remove the link", path)
		}
		rest = filepath.Join(filepath.Base(path), rest)
		path = filepath.Dir(path)
	}
}

// unreachable says whose folder it is that this user cannot enter.
func unreachable(path string, err error) error {
	var reason *fs.PathError
	if errors.As(err, &reason) {
		path = reason.Path
	}
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		info, statErr := os.Stat(dir)
		if statErr == nil && dir != filepath.Dir(dir) {
			return fmt.Errorf("it lies in %s, which belongs to %s and is closed to %s: run this as %s", dir, name(owner(info)), name(os.Geteuid()), name(owner(info)))
		}
		if dir == filepath.Dir(dir) {
			return fmt.Errorf("find %s: %w", path, err)
		}
	}
}

// ours refuses what belongs to somebody else or what others can write.
func ours(path string, info fs.FileInfo) error {
	if uid := owner(info); uid != os.Geteuid() {
		return fmt.Errorf("%s belongs to %s: run this as %s, or give it to %s", path, name(uid), name(uid), name(os.Geteuid()))
	}
	if othersWrite(path, info) {
		return fmt.Errorf("%s can be written by others: close it with `chmod go-w`", path)
	}
	return nil
}

// leadsOn refuses a folder in which somebody but root and this user can put one thing in the place
// of another.
func leadsOn(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("look at %s: %w", dir, err)
	}
	if uid := owner(info); uid != 0 && uid != os.Geteuid() {
		return fmt.Errorf("it lies in %s, which belongs to %s: run this as %s", dir, name(uid), name(uid))
	}
	if info.Mode()&fs.ModeSticky == 0 && othersWrite(dir, info) {
		return fmt.Errorf("it lies in %s, which can be written by others: close that with `chmod go-w`", dir)
	}
	return nil
}

// owner is the uid that a file belongs to.
func owner(info fs.FileInfo) int {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return -1 // nobody's
	}
	return int(stat.Uid)
}

// name is what people call a user.
func name(uid int) string {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return u.Username
	}
	return "user " + strconv.Itoa(uid)
}
