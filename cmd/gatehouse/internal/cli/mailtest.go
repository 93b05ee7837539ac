package cli

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"syscall"
	"time"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/rest"
	"github.com/gatehouse/gatehouse/internal/visible"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1/reason"
)

type mailTestCommand struct {
	signInFlags `embed:""`
	Address     string        `arg:"" help:"Whom to send a mail."`
	Wait        time.Duration `default:"40s" help:"How long to wait for the mail server."`
}

// askEvery is the time between two questions after a mail.
const askEvery = 250 * time.Millisecond

// Run sends a mail and says what became of it.
func (c *mailTestCommand) Run(console *Console) error {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	return c.session(ctx, console, func(client *rest.Client) error {
		mail, err := client.SendTestMail(ctx, c.Address)
		if err != nil {
			return mended(err)
		}
		fmt.Fprintf(console.Err, "Mail %s is queued.\n", visible.Text(mail.ID))
		return c.follow(ctx, console, client, mail.ID)
	})
}

// follow asks after a mail until one attempt has ended.
func (c *mailTestCommand) follow(ctx context.Context, console *Console, client *rest.Client, id string) error {
	ctx, cancel := context.WithTimeout(ctx, c.Wait)
	defer cancel()
	for {
		mail, err := client.GetMail(ctx, id)
		var problem *rest.Problem
		switch {
		case errors.As(err, &problem) && problem.Reason == reason.MailNotFound().Reason:
			console.printf("accepted by the mail server: look for it at %s\n", visible.Text(c.Address))
			return nil
		case err != nil && ctx.Err() == nil:
			return mended(err)
		case err == nil && mail.Parked:
			return fmt.Errorf("parked, and not tried again: %s", visible.Text(mail.Reason))
		case err == nil && mail.Reason != "":
			return fmt.Errorf("not sent yet, and tried again for ten minutes: %s", visible.Text(mail.Reason))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the mail server has not answered yet: the log of auth says what becomes of mail %s", visible.Text(id))
		case <-time.After(askEvery):
		}
	}
}
