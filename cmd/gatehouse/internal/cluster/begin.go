package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
)

// longestDir bounds the path of the state folder: below it Nomad makes the socket by which a sidecar
// reaches Consul (<dir>/client-1/alloc/<id>/alloc/tmp/consul_grpc.sock), and the path of a
// socket has at most 107 bytes (unix(7)).
const longestDir = 107 - len("/client-1/alloc/00000000-0000-0000-0000-000000000000/alloc/tmp/consul_grpc.sock")

// Begin makes the state folder ready for a cluster: no other one uses it, and what a killed start
// has left is gone. Nobody else begins until the returned function is called.
func Begin(ctx context.Context, dir state.Dir, network Network) (unlock func(), err error) {
	if len(dir.Root()) > longestDir {
		return nil, fmt.Errorf("the path of the state folder %s is too long for the sockets below it: name one of at most %d characters with --state", dir.Root(), longestDir)
	}
	if err := dir.Prepare(); err != nil {
		return nil, err
	}
	if unlock, err = lock(dir); err != nil {
		return nil, err
	}
	r, err := Running(dir) // whoever had the lock before may have made it healthy
	switch {
	case err == nil && r.Healthy:
		err = fmt.Errorf("a cluster runs already at %s: use it, or end it with `gatehouse cluster down`", r.URL)
	case err == nil || errors.Is(err, ErrNotRunning):
		err = tidy(ctx, dir, network)
	}
	if err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

// tidy ends what a killed start has left, and sees that the network is free then.
func tidy(ctx context.Context, dir state.Dir, network Network) error {
	if _, err := down(ctx, dir); err != nil {
		return err
	}
	if err := dir.Prepare(); err != nil { // it has removed the secrets of the one before
		return err
	}
	return network.CheckFree()
}

// lock makes this process the only one that changes the cluster.
func lock(dir state.Dir) (unlock func(), err error) {
	unlock, held, err := dir.TryLock()
	if held {
		err = fmt.Errorf("another `gatehouse cluster` is at work with the state folder %s: wait until it has ended, or end it", dir.Root())
	}
	return unlock, err
}

// stage puts what tasks run into one folder, hard-linked where it can be: a task's root is made of
// links too, so that all instances of a program share its pages.
func stage(folder string, programs Programs, self string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil { //nolint:gosec // tasks of other users run what is in it
		return fmt.Errorf("stage the programs: %w", err)
	}
	paths := map[string]string{"envoy": programs.Envoy.Path, "gatehouse": filepath.Join(filepath.Dir(self), "gatehouse")}
	for name, path := range programs.Own {
		paths[name] = path
	}
	for name, path := range paths {
		place, err := filepath.EvalSymlinks(path)
		if err != nil {
			return fmt.Errorf("stage the programs: %w", err)
		}
		if err := linkOrCopy(place, filepath.Join(folder, name)); err != nil {
			return err
		}
	}
	return nil
}

func linkOrCopy(from, to string) error {
	if err := os.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("stage the programs: %w", err)
	}
	if os.Link(from, to) == nil {
		return nil
	}
	content, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, content, 0o755) //nolint:gosec // a program, in our state folder
	}
	if err != nil {
		return fmt.Errorf("stage the programs: %w", err)
	}
	return nil
}
