package host

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// The users that the processes of a platform run as when `gatehouse up` is root are numbers without
// a name on this machine, from the range in which systemd finds users for its services too
// (DynamicUser=, 61184 to 65519). Each platform has a hundred of its own by its port offset, so
// that platforms side by side share none.
const (
	first = 61184
	each  = 100 // of a platform; offsets are multiples of 1000 up to 40000
)

// ChooseAccounts returns count numbers that are neither a user nor a group of this machine, and
// that no process has. The number of a user is also that of his group.
func ChooseAccounts(offset, count int) ([]int, error) {
	running, err := inUse("/proc")
	if err != nil {
		return nil, err
	}
	return choose(offset, count, func(id int) bool { return slices.Contains(running, id) || known(id) })
}

func choose(offset, count int, taken func(int) bool) ([]int, error) {
	begin := first + offset/1000*each
	var chosen []int
	for id := begin; id < begin+each && len(chosen) < count; id++ {
		if !taken(id) {
			chosen = append(chosen, id)
		}
	}
	if len(chosen) < count {
		return nil, fmt.Errorf("of the users %d to %d, as which the processes of this platform run, only %d of %d are free on this machine: choose another --port-offset, or run gatehouse as an ordinary user",
			begin, begin+each-1, len(chosen), count)
	}
	return chosen, nil
}

// known reports whether the machine has a user or group of that number, or systemd has given it to
// a service.
func known(id int) bool {
	number := strconv.Itoa(id)
	if _, err := user.LookupId(number); err == nil {
		return true
	}
	if _, err := user.LookupGroupId(number); err == nil {
		return true
	}
	_, err := os.Lstat(filepath.Join("/run/systemd/dynamic-uid", number))
	return err == nil
}

// inUse lists the users and groups of all processes (proc(5), /proc/<pid>/status).
func inUse(proc string) ([]int, error) {
	paths, err := filepath.Glob(filepath.Join(proc, "[0-9]*", "status"))
	if err == nil && len(paths) == 0 {
		err = fmt.Errorf("there are none in %s", proc)
	}
	if err != nil {
		return nil, fmt.Errorf("list the processes of this machine: %w", err)
	}
	var all []int
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		for line := range strings.Lines(string(raw)) {
			name, values, _ := strings.Cut(line, ":")
			if name != "Uid" && name != "Gid" && name != "Groups" {
				continue
			}
			for value := range strings.FieldsSeq(values) {
				if id, err := strconv.Atoi(value); err == nil {
					all = append(all, id)
				}
			}
		}
	}
	return all, nil
}
