package cli

import (
	"context"
	"fmt"
	"os/signal"
	"syscall"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/rest"
	"github.com/gatehouse/gatehouse/internal/visible"
)

type usersResetCommand struct {
	signInFlags `embed:""`
	ID          string `arg:"" help:"The user's id, as users watch prints it."`
}

// Run has the mail sent. Who runs the command learns no code.
func (c *usersResetCommand) Run(console *Console) error {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	return c.session(ctx, console, func(client *rest.Client) error {
		if err := client.StartUserReset(ctx, c.ID); err != nil {
			return mended(err)
		}
		fmt.Fprintf(console.Err, "A mail to %s is queued: its link is good for ten minutes. Nothing has changed yet.\n", visible.Text(c.ID))
		return nil
	})
}
