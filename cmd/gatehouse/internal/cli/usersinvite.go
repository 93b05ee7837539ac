package cli

import (
	"context"
	"fmt"
	"os/signal"
	"syscall"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/rest"
	"github.com/gatehouse/gatehouse/internal/visible"
)

type usersInviteCommand struct {
	signInFlags  `embed:""`
	Address      string `arg:"" help:"Whom to mail an invitation." placeholder:"EMAIL"`
	Organization string `help:"Organization that the user joins; that of whoever signs in when empty." placeholder:"ID"`
	Name         string `help:"How the user is shown to others." placeholder:"NAME"`
}

// Run invites somebody. Who runs the command learns no code.
func (c *usersInviteCommand) Run(console *Console) error {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	return c.session(ctx, console, func(client *rest.Client) error {
		u, err := c.invite(ctx, client)
		if err != nil {
			return mended(err)
		}
		fmt.Fprintf(console.Err, "%s (%s) is invited: the mailed link is good for seven days.\n", visible.Text(u.Email), visible.Text(u.ID))
		return nil
	})
}

func (c *usersInviteCommand) invite(ctx context.Context, client *rest.Client) (rest.User, error) {
	organization := c.Organization
	if organization == "" {
		me, err := client.Me(ctx)
		if err != nil {
			return rest.User{}, err
		}
		organization = me.OrganizationID
	}
	return client.InviteUser(ctx, rest.Invited{OrganizationID: organization, Email: c.Address, DisplayName: c.Name})
}

type usersResendCommand struct {
	oneUser `embed:""`
}

// Run sends an invitation again.
func (c *usersResendCommand) Run(console *Console) error {
	return c.changed(console, func(client *rest.Client) func(context.Context, string) (rest.User, error) {
		return client.ResendInvitation
	},
		"is mailed another link, good for seven days, which makes the one of before worthless.")
}

type usersCancelCommand struct {
	oneUser `embed:""`
}

// Run cancels an invitation.
func (c *usersCancelCommand) Run(console *Console) error {
	return c.named(console, func(ctx context.Context, client *rest.Client, id string) error {
		if err := client.CancelInvitation(ctx, id); err != nil {
			return err
		}
		fmt.Fprintf(console.Err, "The invitation of %s is cancelled: its link is worthless.\n", visible.Text(c.User))
		return nil
	})
}
