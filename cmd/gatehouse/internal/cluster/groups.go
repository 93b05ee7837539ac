package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
)

// cgroups is where the kernel shows control groups: one tree (version 2), or one for each controller
// (version 1). They are the machine's: hosts have none of their own, since Nomad 1.11 reads
// cgroup_parent and goes on to use its own name.
const cgroups = "/sys/fs/cgroup"

// wholeTree reports whether the kernel has one tree for all controllers: control groups of version 2.
func wholeTree(root string) bool {
	_, err := os.Stat(filepath.Join(root, "cgroup.controllers"))
	return err == nil
}

// untriedGroups says so where the machine's control groups are of the version that nobody has run a
// cluster with; else it is empty.
func untriedGroups(root string) string {
	if !wholeTree(root) {
		return ""
	}
	return "note: this machine has control groups of version 2 (cgroup v2), and a cluster was tried with version 1 only"
}

// nomadGroups are the groups in which Nomad's clients make those of tasks, where they would be.
func nomadGroups(root string) ([]string, error) {
	if wholeTree(root) {
		return []string{filepath.Join(root, "nomad.slice")}, nil
	}
	trees, err := os.ReadDir(root)
	if err != nil {
		return nil, fmt.Errorf("list the control groups of this machine: %w", err)
	}
	var groups []string
	for _, tree := range trees {
		if tree.Type()&fs.ModeSymlink == 0 { // such as cpu, which leads to cpu,cpuacct
			groups = append(groups, filepath.Join(root, tree.Name(), "nomad"))
		}
	}
	return groups, nil
}

// claimGroups puts on record which of them this machine has not: they go with the cluster.
func (c *cluster) claimGroups() error {
	if note := untriedGroups(cgroups); note != "" {
		c.opts.Progress("%s", note)
	}
	groups, err := nomadGroups(cgroups)
	if err != nil {
		return err
	}
	for _, group := range groups {
		if _, err := os.Stat(group); errors.Is(err, fs.ErrNotExist) {
			c.record.Groups = append(c.record.Groups, group)
		}
	}
	return c.record.write(c.opts.Dir)
}

// weigh gives the tasks of all hosts together the processor time of ten processes of this machine; as
// one group they would have that of one, beside each of the agents.
func (c *cluster) weigh() error {
	for _, group := range c.record.Groups {
		for file, weight := range map[string]string{"cpu.shares": "10240", "cpu.weight": "1000"} {
			path := filepath.Join(group, file)
			if _, err := os.Stat(path); err != nil {
				continue // not of this tree
			}
			if err := os.WriteFile(path, []byte(weight), 0o600); err != nil {
				return fmt.Errorf("give the tasks their share of the processor: %w", err)
			}
		}
	}
	return nil
}

// removeGroups removes the groups of the cluster's allocations, and those around them that were not
// there before. They are empty, or will be within moments: their processes were killed.
func removeGroups(ctx context.Context, root string, dir state.Dir, r Record) error {
	var allocations []string
	for _, h := range r.Hosts {
		folders, err := os.ReadDir(filepath.Join(hostFolder(dir, h.Name), "alloc"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("list the allocations of %s: %w", h.Name, err)
		}
		for _, folder := range folders {
			allocations = append(allocations, folder.Name())
		}
	}
	groups, err := nomadGroups(root)
	if err != nil {
		return err
	}
	for _, group := range groups {
		if err := removeTree(ctx, group, func(folder string) bool {
			id, _, _ := strings.Cut(filepath.Base(folder), ".")
			return slices.Contains(r.Groups, group) || slices.Contains(allocations, id)
		}); err != nil {
			return err
		}
	}
	return nil
}

// removeTree removes those groups of a tree that are ours, the innermost first.
func removeTree(ctx context.Context, tree string, ours func(folder string) bool) error {
	var folders []string
	err := filepath.WalkDir(tree, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // it went meanwhile, or was never there
			return nil
		case err == nil && entry.IsDir() && ours(path):
			folders = append(folders, path)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("list the control groups of a host: %w", err)
	}
	for _, folder := range slices.Backward(folders) {
		err := await(ctx, patience, "the end of the control group "+folder, func(context.Context) error {
			if err := syscall.Rmdir(folder); err != nil && err != syscall.ENOENT {
				return err
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
