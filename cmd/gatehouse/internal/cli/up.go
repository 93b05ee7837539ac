package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/platform"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/preflight"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/request"
)

type upCommand struct {
	stateFlag   `embed:""`
	PortOffset  int                   `help:"Added to every local port, so that several copies run side by side; a multiple of 1000." env:"GATEHOUSE_MESH_PORT_OFFSET" default:"0"`
	Prefix      request.ServicePrefix `name:"service-prefix" help:"Goes before the name of every service in Consul, such as gatehouse-." env:"GATEHOUSE_MESH_SERVICE_PREFIX" placeholder:"PREFIX"`
	Scale       mesh.Scale            `help:"Instances of programs on this machine, such as identity=2,auth=2; one of each when empty." env:"GATEHOUSE_CLI_SCALE" mapsep:"," placeholder:"PROGRAM=N"`
	Detach      bool                  `help:"Return when everything is healthy and leave it running in the background."`
	BinDir      string                `help:"Folder of the programs; that of this executable when empty." env:"GATEHOUSE_CLI_BIN_DIR" placeholder:"DIR"`
	Mesh        string                `help:"Folder of another mesh definition (mesh.json); the built-in one when empty." env:"GATEHOUSE_CLI_MESH" placeholder:"DIR"`
	PostgresURL config.Secret         `name:"postgres-url" help:"Superuser of a PostgreSQL server of your own; a server is started when empty. Prefer the variable: a command line is public." env:"GATEHOUSE_POSTGRES_URL" placeholder:"URL"`
	Adopt       string                `help:"Take over the database of a platform whose state folder is lost: its id, which the refusal names. Only with a server of your own." placeholder:"ID"`
	ReportFD    int                   `hidden:"" help:"Open file that progress is reported to: the background half of --detach."`
}

// Run starts the platform and stays until it is told to stop.
func (c *upCommand) Run(console *Console) error {
	syscall.Umask(0o022) // whatever the shell has: what is made gets the mode that is said there, and PostgreSQL's user passes
	if os.Getpid() == 1 {
		return c.first(console)
	}
	if err := c.absolute(); err != nil {
		return err
	}
	if c.Detach {
		return c.detach(console)
	}
	out := c.reporter(console)
	ctx, release := signal.NotifyContext(context.Background(), stopSignals()...)
	defer release()
	err := c.run(ctx, release, console, out)
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		err = errors.New("stopped before everything was up")
	}
	out.failed(err)
	return err
}

func (c *upCommand) run(ctx context.Context, release func(), console *Console, out *reporter) error {
	opts, unlock, err := c.prepare(ctx, console, out)
	if err != nil {
		return err
	}
	defer unlock()
	begun := console.Now()
	running, err := platform.Up(ctx, opts)
	if err != nil {
		return err
	}
	out.progress("healthy after %.1f s", console.Now().Sub(begun).Seconds())
	out.progress("%s", welcome(opts))
	out.ready()
	<-ctx.Done()
	release() // a second Ctrl-C ends us at once; the kernel ends our children then
	out.progress("stopping")
	running.Close()
	out.progress("stopped")
	return nil
}

// absolute makes every path independent of the working folder.
func (c *upCommand) absolute() error {
	if err := preflight.CheckOffset(c.PortOffset); err != nil {
		return err
	}
	if err := c.Prefix.Check(); err != nil {
		return err
	}
	if c.Adopt != "" && c.PostgresURL.IsZero() {
		return errors.New("--adopt is for a server of your own: set GATEHOUSE_POSTGRES_URL, or leave it out")
	}
	if c.BinDir == "" {
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("find this program: %w: name the folder of the programs with --bin-dir", err)
		}
		c.BinDir = filepath.Dir(self)
	}
	for _, path := range []*string{&c.State, &c.BinDir, &c.Mesh} {
		if *path == "" {
			continue
		}
		whole, err := filepath.Abs(*path)
		if err != nil {
			return fmt.Errorf("find %s: %w", *path, err)
		}
		*path = whole
	}
	return nil
}

// prepare finds out whether everything that is needed is there, and cleans up after a killed `up`. Nothing is started.
func (c *upCommand) prepare(ctx context.Context, console *Console, out *reporter) (opts platform.Options, unlock func(), err error) {
	dir, err := c.open()
	if err != nil {
		return opts, nil, err
	}
	def, err := definition(c.Mesh)
	if err != nil {
		return opts, nil, err
	}
	if err := c.Scale.Check(def); err != nil {
		return opts, nil, err
	}
	gateway, err := platform.GatewayOf(def, c.PortOffset, console.Environ)
	if err != nil {
		return opts, nil, err
	}
	programs, err := preflight.Find(ctx, c.BinDir, names(def), c.BinDir)
	if err != nil {
		return opts, nil, err
	}
	if err := dir.Prepare(); err != nil {
		return opts, nil, err
	}
	unlock, err = dir.Lock()
	if err != nil {
		return opts, nil, err
	}
	own := c.PostgresURL.IsZero()
	if err := clean(ctx, dir, preflight.Ports(def, c.Scale, c.PortOffset, gateway.Address, own), out); err != nil {
		unlock()
		return opts, nil, err
	}
	return platform.Options{
		Dir: dir, Definition: def, Mesh: c.Mesh, Offset: c.PortOffset, Prefix: c.Prefix, Scale: c.Scale, Programs: programs, Gateway: gateway,
		PostgresURL: c.PostgresURL.Reveal(), Adopt: c.Adopt, Environ: console.Environ, Now: console.Now, Progress: out.progress,
	}, unlock, nil
}

func clean(ctx context.Context, dir state.Dir, ports []preflight.Port, out *reporter) error {
	ended, err := dir.Clean(ctx)
	if err != nil {
		return fmt.Errorf("clean up after a killed `up`: %w", err)
	}
	if len(ended) > 0 {
		out.progress("ended what a killed `up` had left: %s", strings.Join(ended, ", "))
	}
	return preflight.CheckPorts(ctx, ports)
}

func names(def *mesh.Definition) []string {
	var all []string
	for _, p := range def.Programs {
		all = append(all, p.Name)
	}
	return all
}

// welcome says where everything is.
func welcome(opts platform.Options) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n  gateway   %s\n", opts.Gateway.URL)
	for _, p := range opts.Definition.Instances(opts.Scale) {
		if !p.Edge {
			fmt.Fprintf(&b, "  %-9s gRPC 127.0.0.1:%d, ops http://127.0.0.1:%d\n", p.ID(), p.Port+opts.Offset, p.OpsPort+opts.Offset)
		}
	}
	fmt.Fprintf(&b, "  consul    https://127.0.0.1:%d (`gatehouse env` prints its token file and certificates)\n", mesh.ConsulHTTPSPort+opts.Offset)
	for _, p := range opts.Definition.Programs {
		for _, secret := range p.Secrets {
			if name, _, _ := strings.Cut(secret.File, "."); secret.Use != "" {
				fmt.Fprintf(&b, "  %-9s %s (%s)\n", name, opts.Dir.SecretPath(secret.File), secret.Use)
			}
		}
	}
	fmt.Fprintf(&b, "  logs      %s\n", opts.Dir.Logs())
	return b.String()
}
