package cli

import (
	"context"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/rest"
)

type auditKeyCommand struct {
	signInFlags  `embed:""`
	Organization string `help:"Ask by the right to proofs of this organization, instead of that on the platform." placeholder:"ID"`
}

// Run prints the verifier keys that the platform says its log has, the newest first. To whoever
// does not trust the platform they say nothing.
func (c *auditKeyCommand) Run(console *Console) error {
	ctx, cancel := interruptible()
	defer cancel()
	return c.session(ctx, console, func(client *rest.Client) error { return c.print(ctx, console, client) })
}

func (c *auditKeyCommand) print(ctx context.Context, console *Console, client *rest.Client) error {
	_, keys, err := client.Checkpoint(ctx, c.Organization)
	for _, key := range keys {
		console.printf("%s\n", key)
	}
	return err
}
