package cli

import (
	"context"
	"strings"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/rest"
	"github.com/gatehouse/gatehouse/internal/visible"
)

type auditReopenCommand struct {
	signInFlags `embed:""`
	Reason      string `required:"" help:"Why, for who reads the trail later." placeholder:"TEXT"`
}

// Run begins the next origin of the log and prints its name, and the last checkpoint that is known
// of the one before.
func (c *auditReopenCommand) Run(console *Console) error {
	ctx, cancel := interruptible()
	defer cancel()
	return c.session(ctx, console, func(client *rest.Client) error { return c.reopen(ctx, console, client) })
}

func (c *auditReopenCommand) reopen(ctx context.Context, console *Console, client *rest.Client) error {
	next, err := client.ReopenLog(ctx, c.Reason)
	if err != nil {
		return err
	}
	console.printf("%s\n\nThe last checkpoint of the log before, which the trail names too:\n\n", visible.Text(next.Origin))
	for line := range strings.Lines(next.Checkpoint) {
		console.printf("%s\n", visible.Text(strings.TrimSuffix(line, "\n")))
	}
	if next.Lost > 0 {
		console.coloured(yellow, "lost")
		console.printf(": %s gone at the end of it; the event audit.log_reopened names where\n", plural(int64(next.Lost), "event was", "events were"))
	}
	return nil
}
