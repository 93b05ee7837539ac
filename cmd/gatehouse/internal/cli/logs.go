package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/logs"
)

type logsCommand struct {
	stateFlag `embed:""`
	Name      string `arg:"" optional:"" help:"One process, such as identity or identity-sidecar; all when empty."`
	Follow    bool   `short:"f" help:"Go on printing what is added; Ctrl-C ends."`
}

// Run prints log files, and what is added to them when asked to follow.
func (c *logsCommand) Run(console *Console) error {
	dir, err := c.open()
	if err != nil {
		return err
	}
	paths, err := filepath.Glob(filepath.Join(dir.Logs(), "*.log"))
	if err != nil {
		return fmt.Errorf("list logs: %w", err)
	}
	if c.Name != "" {
		if !slices.Contains(paths, dir.Log(c.Name)) {
			return fmt.Errorf("there is no log named %q: choose one of %s", c.Name, strings.Join(logNames(paths), ", "))
		}
		paths = []string{dir.Log(c.Name)}
	}
	if len(paths) == 0 {
		return fmt.Errorf("there are no logs in %s: nothing was started with this state folder", dir.Logs())
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	err = logs.Follow(ctx, console.Out, paths, c.Follow)
	if errors.Is(err, context.Canceled) || errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

func logNames(paths []string) []string {
	var names []string
	for _, path := range paths {
		names = append(names, strings.TrimSuffix(filepath.Base(path), ".log"))
	}
	if names == nil {
		return []string{"none"}
	}
	return names
}
