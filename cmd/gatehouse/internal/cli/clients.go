package cli

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"strings"
	"syscall"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/rest"
	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/visible"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1/reason"
	identityreason "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1/reason"
)

type clientsCommand struct {
	List   clientsListCommand   `cmd:"" help:"Print the applications that people sign in to."`
	Create clientsCreateCommand `cmd:"" help:"Register an application; prints its client_id and, once, its secret."`
	Rotate clientsRotateCommand `cmd:"" help:"Give a client one more secret, or end its old one; prints the new one once."`
	Delete clientsDeleteCommand `cmd:"" help:"Remove a client and end its sessions."`
}

// clientsFlags are those of every command about clients.
type clientsFlags struct {
	signInFlags `embed:""`
	Output      string `short:"o" enum:"text,json" default:"text" help:"text, or json: one answer a line."`
}

// run does the work as who has signed in, and says how to mend what is refused.
func (c *clientsFlags) run(console *Console, work func(context.Context, *rest.Client) error) error {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	return c.session(ctx, console, func(client *rest.Client) error { return mended(work(ctx, client)) })
}

// mended is a refusal with what its reader can do.
func mended(err error) error {
	var problem *rest.Problem
	if !errors.As(err, &problem) {
		return err
	}
	switch problem.Reason {
	case apierr.PermissionDeniedError().Reason:
		return fmt.Errorf("%w: sign in as an administrator of the platform", err)
	case reason.ClientNotFound().Reason:
		return fmt.Errorf("%w: gatehouse clients list shows those there are", err)
	case reason.ClientHasTwoSecrets().Reason:
		return fmt.Errorf("%w: gatehouse clients rotate ID --end-old", err)
	case reason.LastClientSecret().Reason:
		return fmt.Errorf("%w: gatehouse clients rotate ID", err)
	case identityreason.EmailTaken().Reason:
		return fmt.Errorf("%w: gatehouse users resend mails an invitation again", err)
	}
	var fields []string
	for _, f := range problem.Errors {
		fields = append(fields, visible.Text(f.Field)+" "+visible.Text(f.Description))
	}
	if len(fields) == 0 {
		return err
	}
	return fmt.Errorf("%w: %s", err, strings.Join(fields, "; "))
}

type clientsListCommand struct {
	clientsFlags `embed:""`
}

// Run prints all clients, oldest first.
func (c *clientsListCommand) Run(console *Console) error {
	return c.run(console, func(ctx context.Context, client *rest.Client) error {
		return client.ListClients(ctx, func(found rest.OAuthClient) error {
			if c.Output == "json" {
				return console.printJSON(found.Raw)
			}
			kind := "confidential"
			if found.Public {
				kind = "public"
			}
			if found.PlatformAPI {
				kind += "+platform"
			}
			console.printf("%s  %-21s  %s  %s\n", visible.Text(found.ID), kind, visible.Text(found.Name), visible.Text(strings.Join(found.RedirectURIs, " ")))
			return nil
		})
	})
}

type clientsCreateCommand struct {
	clientsFlags     `embed:""`
	Name             string   `arg:"" help:"How the application is shown to people."`
	Public           bool     `help:"It runs where it can keep no secret: in a browser, on a phone, on a desktop."`
	Redirect         []string `help:"Where answers may be sent; may be repeated. Of http, for this machine only, the port may vary." placeholder:"URI" sep:"none"`
	PostLogout       []string `help:"Where a browser may be sent after a sign-out; may be repeated." placeholder:"URI" sep:"none"`
	Origin           []string `help:"Web origin whose pages call the provider; may be repeated." placeholder:"ORIGIN" sep:"none"`
	Audience         []string `help:"API that its access tokens are for; may be repeated." placeholder:"URI" sep:"none"`
	Scope            []string `help:"What it may ask for; may be repeated. Without one: openid, profile, email, roles and offline_access." placeholder:"SCOPE" sep:"none"`
	PlatformAPI      bool     `name:"platform-api" help:"Grant the platform's own API, with all rights of whoever signs in."`
	VerifiedEmail    bool     `help:"Only people may sign in who have proven that their address is theirs."`
	IDTokenAlgorithm string   `name:"id-token-algorithm" help:"What signs its ID tokens: RS256, ES256 or EdDSA; RS256 when empty." placeholder:"ALGORITHM"`
}

// Run registers the client.
func (c *clientsCreateCommand) Run(console *Console) error {
	return c.run(console, func(ctx context.Context, client *rest.Client) error {
		created, err := client.CreateClient(ctx, rest.Registration{
			Name: c.Name, Public: c.Public, RedirectURIs: c.Redirect, PostLogoutRedirectURIs: c.PostLogout, WebOrigins: c.Origin,
			Audiences: c.Audience, Scopes: c.Scope, PlatformAPI: c.PlatformAPI, IDTokenAlgorithm: c.IDTokenAlgorithm, RequireVerifiedEmail: c.VerifiedEmail,
		})
		if err != nil {
			return err
		}
		if err := c.tell(console, created); err != nil {
			return err
		}
		fmt.Fprintln(console.Err, "All clients are first-party: nobody is asked for consent. Register applications of your own organization only.")
		return nil
	})
}

// tell prints a client with its new secret: standard output has nothing else, so that a script can
// keep it.
func (c *clientsFlags) tell(console *Console, r rest.Registered) error {
	if c.Output == "json" {
		return console.printJSON(r.Raw)
	}
	console.printf("client_id      %s\n", visible.Text(r.Client.ID))
	if r.Secret != "" {
		console.printf("client_secret  %s\n", visible.Text(r.Secret))
		fmt.Fprintln(console.Err, "The secret is shown this once.")
	}
	return nil
}

type clientsRotateCommand struct {
	clientsFlags `embed:""`
	ID           string `arg:"" help:"The client_id."`
	EndOld       bool   `help:"End the older of two secrets instead, once nothing uses it any more."`
}

// Run makes one more secret, or ends the older one.
func (c *clientsRotateCommand) Run(console *Console) error {
	return c.run(console, func(ctx context.Context, client *rest.Client) error {
		if c.EndOld {
			return c.endOld(ctx, console, client)
		}
		rotated, err := client.RotateClientSecret(ctx, c.ID)
		if err != nil {
			return err
		}
		if err := c.tell(console, rotated); err != nil {
			return err
		}
		fmt.Fprintln(console.Err, "The old one stays valid until gatehouse clients rotate ID --end-old.")
		return nil
	})
}

func (c *clientsRotateCommand) endOld(ctx context.Context, console *Console, client *rest.Client) error {
	found, err := client.GetClient(ctx, c.ID)
	if err != nil {
		return err
	}
	if len(found.Secrets) < 2 {
		return errors.New("the client has no old secret: gatehouse clients rotate ID gives it a new one beside today's")
	}
	if err := client.EndClientSecret(ctx, c.ID, found.Secrets[0].ID); err != nil { // oldest first
		return err
	}
	fmt.Fprintf(console.Err, "The secret of %s ended.\n", found.Secrets[0].CreateTime.UTC().Format("2006-01-02T15:04:05Z"))
	return nil
}

type clientsDeleteCommand struct {
	signInFlags `embed:""`
	ID          string `arg:"" help:"The client_id."`
}

// Run removes the client.
func (c *clientsDeleteCommand) Run(console *Console) error {
	flags := clientsFlags{signInFlags: c.signInFlags}
	return flags.run(console, func(ctx context.Context, client *rest.Client) error {
		if err := client.DeleteClient(ctx, c.ID); err != nil {
			return err
		}
		fmt.Fprintf(console.Err, "%s is gone, and its sessions have ended.\n", visible.Text(c.ID))
		return nil
	})
}

// printJSON prints an answer of the gateway as one line.
func (c *Console) printJSON(raw []byte) error {
	text, err := oneLine(raw)
	if err == nil {
		c.printf("%s\n", text)
	}
	return err
}
