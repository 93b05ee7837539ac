package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/secrets"
)

type secretsCommand struct {
	Ensure secretsEnsureCommand `cmd:"" help:"Make the secrets of all tasks that Nomad does not keep yet; it overwrites none."`
	Rotate secretsRotateCommand `cmd:"" help:"Make a new value of one secret."`
}

// secretsFlags say whose secrets they are and what of them is given. Nomad is found by NOMAD_ADDR,
// NOMAD_TOKEN and the other variables of its own command.
type secretsFlags struct {
	Mesh             string `help:"Folder of another mesh definition (mesh.json); the built-in one when empty." env:"GATEHOUSE_CLI_MESH" placeholder:"DIR"`
	DatabaseHost     string `help:"host:port of a PostgreSQL server of your own, which programs reach directly with sslmode=verify-full; that of the job when empty." env:"GATEHOUSE_CLI_DATABASE_HOST" placeholder:"ADDRESS"`
	DatabaseRootCert string `help:"Path, as tasks see it, of the certificate of that server's CA; the system's CAs when empty." env:"GATEHOUSE_CLI_DATABASE_ROOT_CERT" placeholder:"PATH"`
	TLSCert          string `name:"tls-cert" help:"PEM file with the certificate chain of the public listener." placeholder:"FILE"`
	TLSKey           string `name:"tls-key" help:"PEM file with its private key." placeholder:"FILE"`
}

func (f secretsFlags) keeper(console *Console) (*secrets.Keeper, error) {
	def, err := definition(f.Mesh)
	if err != nil {
		return nil, err
	}
	if (f.TLSCert == "") != (f.TLSKey == "") {
		return nil, errors.New("a certificate has two files: give both --tls-cert and --tls-key")
	}
	var certificate secrets.Certificate
	for _, one := range []struct {
		path string
		into *string
	}{{f.TLSCert, &certificate.Cert}, {f.TLSKey, &certificate.Key}} {
		if one.path == "" {
			continue
		}
		content, err := os.ReadFile(one.path)
		if err != nil {
			return nil, fmt.Errorf("the certificate cannot be read: %w", err)
		}
		*one.into = string(content)
	}
	return secrets.New(secrets.Nomad{Environ: console.Environ}, def, secrets.Database{Host: f.DatabaseHost, RootCert: f.DatabaseRootCert}, certificate,
		func(format string, args ...any) { console.printf(format+"\n", args...) })
}

type secretsEnsureCommand struct {
	secretsFlags `embed:""`
	Repair       bool `help:"Write anew what differs from what the other items and flags say, such as URLs of the database after its host has changed."`
}

// Run makes what is missing.
func (c *secretsEnsureCommand) Run(console *Console) error {
	keeper, err := c.keeper(console)
	if err != nil {
		return err
	}
	ctx, release := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer release()
	return keeper.Ensure(ctx, c.Repair)
}

type secretsRotateCommand struct {
	secretsFlags `embed:""`
	Name         string        `arg:"" help:"Item as secrets ensure names it, such as GATEHOUSE_AUTH_KEY or IDENTITY_PASSWORD."`
	Pause        time.Duration `help:"How long the tasks have to see a new URL before the password of its role changes." default:"15s"`
	Finish       bool          `help:"Forget the previous value, which nothing needs any more."`
}

// Run makes a new value, or forgets the previous one.
func (c *secretsRotateCommand) Run(console *Console) error {
	keeper, err := c.keeper(console)
	if err != nil {
		return err
	}
	ctx, release := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer release()
	if c.Finish {
		return keeper.Finish(ctx, c.Name)
	}
	return keeper.Rotate(ctx, c.Name, c.Pause)
}
