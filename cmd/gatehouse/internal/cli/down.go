package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
)

// downTimeout is how long a graceful stop may take before the supervisor is killed, and its children with it.
const downTimeout = 40 * time.Second

type downCommand struct {
	stateFlag `embed:""`
}

// Run ends the platform of the state folder, also what is left of one whose `up` was killed.
func (c *downCommand) Run(console *Console) error {
	dir, err := c.open()
	if err != nil {
		return err
	}
	record, err := dir.Read()
	if errors.Is(err, state.ErrNotRunning) {
		console.printf("nothing is running with the state folder %s\n", dir.Root())
		return nil
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), downTimeout)
	defer cancel()
	if err := record.Supervisor.Terminate(ctx, syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop `gatehouse up`: %w", err)
	}
	unlock, err := dir.Lock() // an `up` that begins now has children of its own, which are not ours to end
	if err != nil {
		return fmt.Errorf("stopped, and what may be left was not looked for: %w", err)
	}
	defer unlock()
	ended, err := dir.Clean(context.Background())
	if err != nil {
		return fmt.Errorf("end what was left: %w", err)
	}
	if len(ended) > 0 {
		console.printf("ended what was left: %s\n", strings.Join(ended, ", "))
	}
	console.printf("stopped\n")
	return nil
}
