package cli

import (
	"context"
	"fmt"
	"os/signal"
	"strings"
	"syscall"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/rest"
	"github.com/gatehouse/gatehouse/internal/visible"
)

// oneUser names a user as people do.
type oneUser struct {
	signInFlags  `embed:""`
	User         string `arg:"" help:"The user's address or id, as users watch prints them." placeholder:"EMAIL-or-ID"`
	Organization string `help:"Look for the address in this organization alone: who does not administer the platform has to say it." placeholder:"ID"`
}

// id returns the id of the user; of several with one address none.
func (c *oneUser) id(ctx context.Context, client *rest.Client) (string, error) {
	if !strings.Contains(c.User, "@") {
		return c.User, nil
	}
	found, err := client.UsersByEmail(ctx, c.User, c.Organization)
	if err != nil {
		return "", err
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("nobody has the address %s", visible.Text(c.User))
	case 1:
		return found[0].ID, nil
	}
	var ids []string
	for _, u := range found {
		ids = append(ids, fmt.Sprintf("%s of %s", visible.Text(u.ID), visible.Text(u.OrganizationID)))
	}
	return "", fmt.Errorf("%d users have the address %s, each in an organization of their own: name one by its id: %s", len(found), visible.Text(c.User), strings.Join(ids, ", "))
}

// named does work on the user, as who has signed in.
func (c *oneUser) named(console *Console, work func(ctx context.Context, client *rest.Client, id string) error) error {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	return c.session(ctx, console, func(client *rest.Client) error {
		id, err := c.id(ctx, client)
		if err == nil {
			err = work(ctx, client, id)
		}
		return mended(err)
	})
}

// changed has a change of the user made, and says what it was.
func (c *oneUser) changed(console *Console, make func(*rest.Client) func(context.Context, string) (rest.User, error), sentence string) error {
	return c.named(console, func(ctx context.Context, client *rest.Client, id string) error {
		u, err := make(client)(ctx, id)
		if err != nil {
			return err
		}
		fmt.Fprintf(console.Err, "%s (%s) %s\n", visible.Text(u.Email), visible.Text(u.ID), sentence)
		return nil
	})
}

type usersSuspendCommand struct {
	oneUser `embed:""`
}

// Run suspends the user.
func (c *usersSuspendCommand) Run(console *Console) error {
	return c.changed(console, func(client *rest.Client) func(context.Context, string) (rest.User, error) { return client.SuspendUser },
		"is suspended: all sessions have ended, and no password signs in until gatehouse users restore.")
}

type usersRestoreCommand struct {
	oneUser `embed:""`
}

// Run restores the user.
func (c *usersRestoreCommand) Run(console *Console) error {
	return c.changed(console, func(client *rest.Client) func(context.Context, string) (rest.User, error) { return client.RestoreUser },
		"may sign in again; sessions of before have ended.")
}
