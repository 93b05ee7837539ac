package cluster_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// traces are what a cluster could leave on the machine, by kind.
type traces map[string][]string

// look lists what is there now.
func look() (traces, error) {
	found := traces{}
	links, err := os.ReadDir("/sys/class/net")
	if err != nil {
		return nil, fmt.Errorf("list the links: %w", err)
	}
	for _, link := range links {
		found["link"] = append(found["link"], link.Name())
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil, fmt.Errorf("list the mounts: %w", err)
	}
	found["mount"] = strings.Split(string(mounts), "\n")
	for _, kind := range []string{"net", "mnt", "pid"} {
		if found["namespace"], err = appendNamespaces(found["namespace"], kind); err != nil {
			return nil, err
		}
	}
	for _, command := range []string{"iptables-save", "ip6tables-save"} {
		rules, err := exec.Command(command).Output()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", command, err)
		}
		for line := range strings.Lines(string(rules)) {
			if !strings.HasPrefix(line, "#") { // the time
				found[command] = append(found[command], strings.TrimSpace(strings.Split(line, " [")[0]))
			}
		}
	}
	found["cgroup"] = folders("/sys/fs/cgroup")
	for _, folder := range []string{"/run/netns", "/var/run/cni", "/var/lib/cni"} {
		found["folder"] = append(found["folder"], folders(folder)...)
	}
	return found, nil
}

// appendNamespaces adds the namespaces of one kind that some process is in.
func appendNamespaces(all []string, kind string) ([]string, error) {
	paths, err := filepath.Glob("/proc/[0-9]*/ns/" + kind)
	if err != nil {
		return nil, fmt.Errorf("list the namespaces: %w", err)
	}
	for _, path := range paths {
		if _, err := os.Readlink(filepath.Join(filepath.Dir(path), "net")); err != nil {
			continue // it has ended, and nobody has asked how
		}
		if name, err := os.Readlink(path); err == nil && !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all, nil
}

// folders are a folder and all below it; none when it is not there.
func folders(root string) []string {
	var all []string
	_ = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			all = append(all, path)
		}
		return nil
	})
	return all
}

// difference says what one has that the other has not, empty when they are equal.
func (t traces) difference(now traces) string {
	var b strings.Builder
	for kind := range now {
		for _, one := range now[kind] {
			if !slices.Contains(t[kind], one) {
				fmt.Fprintf(&b, "new %s: %s\n", kind, one)
			}
		}
		if kind == "namespace" || kind == "cgroup" {
			continue // others' processes end, too
		}
		for _, one := range t[kind] {
			if !slices.Contains(now[kind], one) {
				fmt.Fprintf(&b, "lost %s: %s\n", kind, one)
			}
		}
	}
	return b.String()
}
