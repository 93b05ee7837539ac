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

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/cluster/host"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
)

// Down ends the cluster of the state folder, also what a killed `up` has left of one, and removes
// everything that it had on this machine but its logs. It reports whether there was one.
func Down(ctx context.Context, dir state.Dir) (bool, error) {
	if _, err := Read(dir); errors.Is(err, ErrNotRunning) {
		return false, nil
	}
	unlock, err := lock(dir)
	if err != nil {
		return false, err
	}
	defer unlock()
	return down(ctx, dir)
}

// Abort is Down for who has begun: nobody else is at work.
func Abort(ctx context.Context, dir state.Dir) error {
	_, err := down(ctx, dir)
	return err
}

func down(ctx context.Context, dir state.Dir) (bool, error) {
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
	if r.linked() { // the kernel takes namespaces apart some time after their last process
		if err := host.Configure(ctx, nil, "link delete "+r.Link); err != nil && r.linked() {
			return true, err
		}
	}
	if err := removeGroups(ctx, cgroups, dir, r); err != nil {
		return true, err
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
