package owned

import (
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// othersWrite reports whether somebody beside root, the owner and this user can write a file or in
// a folder. Many systems give each user a group of his own and let that write what he makes; where
// nobody else is in the group, that opens nothing.
func othersWrite(path string, info fs.FileInfo) bool {
	mode := info.Mode().Perm()
	if mode&0o002 != 0 {
		return true
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if mode&0o020 == 0 || !ok {
		return !ok
	}
	if size, err := unix.Lgetxattr(path, "system.posix_acl_access", nil); err == nil && size > 0 {
		return true // the bits of the group are the mask of a list of users and groups
	}
	self := []string{"root", name(owner(info)), name(os.Geteuid())}
	return !alone(self, int(stat.Gid), lines("/etc/group"), lines("/etc/passwd"))
}

// alone reports whether a group is known to the machine's own files (group(5), passwd(5)) and
// nobody is in it but the named ones.
func alone(self []string, gid int, groups, users []string) bool {
	id, known := strconv.Itoa(gid), false
	for _, line := range groups { // name:password:gid:members
		if fields := strings.Split(line, ":"); len(fields) == 4 && fields[2] == id {
			known = true
			for member := range strings.SplitSeq(fields[3], ",") {
				if member != "" && !slices.Contains(self, member) {
					return false
				}
			}
		}
	}
	for _, line := range users { // name:password:uid:gid:…
		if fields := strings.Split(line, ":"); len(fields) > 3 && fields[3] == id && !slices.Contains(self, fields[0]) {
			return false
		}
	}
	return known
}

func lines(path string) []string {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil // nobody is known then
	}
	return strings.Split(string(raw), "\n")
}
