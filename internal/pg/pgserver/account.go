package pgserver

import (
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// Account is the unprivileged user that the server runs as when we are root; PostgreSQL refuses root.
type Account struct {
	Name     string
	UID, GID int
}

// ServerAccount returns the user to drop to, "postgres" where it exists and else "nobody"; nil when we are not root.
func ServerAccount() (*Account, error) {
	if os.Geteuid() != 0 {
		return nil, nil // nothing to drop
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.Atoi(u.Uid)
		gid, gidErr := strconv.Atoi(u.Gid)
		if uidErr == nil && gidErr == nil && uid != 0 {
			return &Account{Name: name, UID: uid, GID: gid}, nil
		}
	}
	return nil, fmt.Errorf("PostgreSQL does not run as root and this machine has neither a user postgres nor nobody: create one, or start as an ordinary user")
}

// own gives a file or folder to the account; nil leaves it alone.
func (a *Account) own(path string) error {
	if a == nil {
		return nil
	}
	if err := os.Lchown(path, a.UID, a.GID); err != nil {
		return fmt.Errorf("give %s to user %s: %w", path, a.Name, err)
	}
	return nil
}

// attributes are those of a process that runs as the account, without any supplementary group.
func (a *Account) attributes() *syscall.SysProcAttr {
	if a == nil {
		return &syscall.SysProcAttr{}
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{
		Uid: uint32(a.UID), Gid: uint32(a.GID), //nolint:gosec // from the user database
	}}
}

// closed returns the first folder on the way to path that the account cannot enter, "" when the way is open. Ways that do not exist
// yet are open.
func (a *Account) closed(path string) string {
	if a == nil {
		return ""
	}
	for dir := path; ; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err == nil && !a.enters(info) {
			return dir
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
	}
}

func (a *Account) enters(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch mode := info.Mode().Perm(); {
	case !ok:
		return true
	case int(stat.Uid) == a.UID:
		return mode&0o100 != 0
	case int(stat.Gid) == a.GID:
		return mode&0o010 != 0
	default:
		return mode&0o001 != 0
	}
}

// DataDir returns the data folder that belongs to a state folder: <state>/postgres. When we are
// root and the user that the server runs as cannot reach that (a state folder below /root, or a
// link that leads there), it is a folder of the machine that is named after the state folder. The
// path may hold links; data that an older version made outside by the name that was given are found
// again.
func DataDir(state string) (string, error) {
	state, err := filepath.Abs(state)
	if err != nil {
		return "", fmt.Errorf("find the state folder: %w", err)
	}
	account, err := ServerAccount()
	if err != nil {
		return "", err
	}
	real := place(state)
	inside := filepath.Join(real, "postgres")
	open := account.closed(filepath.Dir(real)) == ""
	if account == nil || (open && exists(inside)) {
		return inside, nil
	}
	for _, name := range []string{real, state} {
		if exists(outside(name)) {
			return outside(name), nil
		}
	}
	if open {
		return inside, nil
	}
	return outside(real), nil
}

// outside is the machine's folder for the data of a state folder.
func outside(state string) string {
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(state)) // never fails
	return filepath.Join("/var/lib/gatehouse", fmt.Sprintf("postgres-%016x", sum.Sum64()))
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// place is where a path leads with its links followed, as far as it exists.
func place(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	if path == filepath.Dir(path) {
		return path
	}
	return filepath.Join(place(filepath.Dir(path)), filepath.Base(path))
}
