package state

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/gatehouse/gatehouse/internal/owned"
	"github.com/gatehouse/gatehouse/internal/supervise"
)

// graceful is how long a leftover process may take to end by itself.
const graceful = 5 * time.Second

// Clean ends what a killed `up` left behind and forgets its record. It returns the names of the processes it had to end. Only
// processes that are certainly ours are touched: same pid, same start time, same boot.
func (d Dir) Clean(ctx context.Context) ([]string, error) {
	r, err := d.Read()
	if errors.Is(err, ErrNotRunning) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var ended []string
	var failed []error
	for _, p := range slices.Backward(r.Processes) {
		if !p.Alive() {
			continue
		}
		ended = append(ended, p.Name)
		failed = append(failed, end(ctx, p.Name, p.Identity))
	}
	if err := errors.Join(failed...); err != nil {
		return ended, err
	}
	if err := d.RemoveRun(); err != nil {
		return ended, err
	}
	return ended, d.Forget()
}

// RemoveRun takes away what root's processes were given. Nobody else has given them anything.
func (d Dir) RemoveRun() error {
	if os.Geteuid() != 0 {
		return nil
	}
	err := owned.Part(d.Run())
	if err == nil {
		err = os.RemoveAll(d.Run())
	}
	if err != nil {
		return fmt.Errorf("remove what the processes were given: %w", err)
	}
	return nil
}

func end(ctx context.Context, name string, id supervise.Identity) error {
	signal := syscall.SIGTERM
	if name == PostgresProcess {
		signal = syscall.SIGINT // fast shutdown; SIGTERM would wait for its clients
	}
	ctx, cancel := context.WithTimeout(ctx, graceful)
	defer cancel()
	return id.Terminate(ctx, signal)
}
