package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
)

// Down ends the cluster of the state folder, also what a killed `up` has left of one, and removes
// everything that it had on this machine but its logs. It reports whether there was one.
func Down(ctx context.Context, dir state.Dir) (bool, error) {
	r, err := Read(dir)
	if errors.Is(err, ErrNotRunning) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for _, h := range append(slices.Clone(r.Hosts), r.Site) {
		if err := h.First.Terminate(ctx, syscall.SIGKILL); err != nil {
			return true, fmt.Errorf("end the host %s: %w", h.Name, err)
		}
	}
	// The kernel takes namespaces apart some time after their last process.
	err = await(ctx, patience, "the end of the cluster", func(context.Context) error {
		if r.linked() {
			return fmt.Errorf("its link %s is still there", r.Link)
		}
		return nil
	})
	if err != nil {
		return true, err
	}
	for _, h := range r.Hosts {
		if err := removeGroups(ctx, cgroups, cgroupParent(h.Name)); err != nil {
			return true, err
		}
	}
	for _, folder := range slices.Backward(r.Made) {
		if err := os.Remove(folder); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTEMPTY) { // somebody else uses it by now
			return true, fmt.Errorf("remove what was there for the hosts only: %w", err)
		}
	}
	return true, forget(dir, r)
}

// forget removes the cluster's files, and its record last.
func forget(dir state.Dir, r Record) error {
	folders := []string{filepath.Join(dir.Root(), "programs"), filepath.Join(dir.Root(), "secrets")}
	for _, h := range append(slices.Clone(r.Hosts), r.Site) {
		if h.Name != "" {
			folders = append(folders, hostFolder(dir, h.Name))
		}
	}
	for _, folder := range folders {
		if err := os.RemoveAll(folder); err != nil {
			return fmt.Errorf("remove the files of the cluster: %w", err)
		}
	}
	if err := os.Remove(filepath.Join(dir.Root(), recordFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the record of the cluster: %w", err)
	}
	return nil
}

// cgroups is where the kernel shows control groups: one tree (version 2), or one for each controller
// (version 1).
const cgroups = "/sys/fs/cgroup"

// removeGroups removes a group of tasks and those below it from every tree. They are empty, or will
// be within moments: their processes were killed.
func removeGroups(ctx context.Context, root, parent string) error {
	trees, err := filepath.Glob(filepath.Join(root, "*", parent))
	if err != nil {
		return fmt.Errorf("list the control groups: %w", err)
	}
	for _, tree := range append(trees, filepath.Join(root, parent)) {
		if err := removeTree(ctx, tree); err != nil {
			return err
		}
	}
	return nil
}

func removeTree(ctx context.Context, tree string) error {
	var folders []string
	err := filepath.WalkDir(tree, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			folders = append(folders, path)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
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
