package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/cluster"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
)

type clusterCommand struct {
	Up     clusterUpCommand     `cmd:"" help:"Start three hosts on this machine, as root: Consul, Nomad, and the platform's jobs on them."`
	Down   clusterDownCommand   `cmd:"" help:"End the cluster and remove all that it had, its data too."`
	Status clusterStatusCommand `cmd:"" help:"Show the hosts and what runs on them."`
	Env    clusterEnvCommand    `cmd:"" help:"Print shell lines that point nomad, consul, curl and others at the cluster."`
	Host   clusterHostCommand   `cmd:"" help:"Let a host fail, or heal it."`
	Init   clusterInitCommand   `cmd:"" hidden:"" help:"Be the first process of a host."`
}

// clusterFlag names the cluster's state folder.
type clusterFlag struct {
	State string `help:"State folder of the cluster." env:"GATEHOUSE_CLI_CLUSTER" default:"/var/lib/gatehouse-cluster" placeholder:"DIR"`
}

func (f clusterFlag) open() (state.Dir, error) { return state.Open(f.State) }

func (f clusterFlag) running() (state.Dir, cluster.Record, error) {
	dir, err := f.open()
	if err != nil {
		return dir, cluster.Record{}, err
	}
	record, err := cluster.Running(dir)
	return dir, record, err
}

type clusterUpCommand struct {
	clusterFlag `embed:""`
	BinDir      string `help:"Folder of the programs; that of this executable when empty." env:"GATEHOUSE_CLI_BIN_DIR" placeholder:"DIR"`
	Network     string `help:"512 private addresses that nothing else uses." default:"10.203.0.0/23" placeholder:"CIDR"`
	Keep        bool   `help:"Leave what was started when something fails, for a look at it."`
}

// Run starts the cluster and returns when it is healthy. What runs then goes on without this process.
func (c *clusterUpCommand) Run(console *Console) error {
	syscall.Umask(0o022)
	ctx, release := signal.NotifyContext(context.Background(), stopSignals()...)
	defer release()
	begun := console.Now()
	opts, unlock, err := c.prepare(ctx, console)
	if err != nil {
		return err
	}
	defer unlock()
	if err := cluster.Up(ctx, opts); err != nil {
		if ctx.Err() != nil {
			err = errors.New("stopped before everything was up")
		}
		if c.Keep {
			return err
		}
		return errors.Join(err, cluster.Abort(context.WithoutCancel(ctx), opts.Dir))
	}
	record, err := cluster.Read(opts.Dir)
	if err != nil {
		return err
	}
	console.printf("healthy after %.0f s\n\n%s", console.Now().Sub(begun).Seconds(), clusterWelcome(record, opts.Dir))
	return nil
}

// prepare finds out whether everything that is needed is there, and ends what a killed start left.
func (c *clusterUpCommand) prepare(ctx context.Context, console *Console) (opts cluster.Options, unlock func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return opts, nil, fmt.Errorf("find this program: %w", err)
	}
	if c.BinDir == "" {
		c.BinDir = filepath.Dir(self)
	}
	if c.BinDir, err = filepath.Abs(c.BinDir); err != nil {
		return opts, nil, fmt.Errorf("find %s: %w", c.BinDir, err)
	}
	def, err := definition("")
	if err != nil {
		return opts, nil, err
	}
	network, err := cluster.ParseNetwork(c.Network)
	if err != nil {
		return opts, nil, err
	}
	programs, err := cluster.Find(ctx, c.BinDir, names(def))
	if err != nil {
		return opts, nil, err
	}
	dir, err := c.open()
	if err != nil {
		return opts, nil, err
	}
	if unlock, err = cluster.Begin(ctx, dir, network); err != nil {
		return opts, nil, err
	}
	return cluster.Options{
		Dir: dir, Definition: def, Programs: programs, Network: network, Self: []string{self, "cluster", "init"},
		Environ: console.Environ, Now: console.Now,
		Progress: func(format string, args ...any) { console.printf(format+"\n", args...) },
	}, unlock, nil
}

func clusterWelcome(r cluster.Record, dir state.Dir) string {
	return fmt.Sprintf("  gateway   %s\n  nomad     %s\n  consul    https://%s\n  logs      %s\n\n"+
		"eval \"$(gatehouse cluster env)\" points nomad, consul and curl at it; `gatehouse cluster down` ends it\n", r.URL, r.Nomad, r.Consul, dir.Logs())
}

type clusterDownCommand struct {
	clusterFlag `embed:""`
}

// Run ends the cluster, also what a killed start has left.
func (c *clusterDownCommand) Run(console *Console) error {
	dir, err := c.open()
	if err != nil {
		return err
	}
	there, err := cluster.Down(context.Background(), dir)
	switch {
	case err != nil:
		return err
	case !there:
		console.printf("no cluster is running with the state folder %s\n", dir.Root())
	default:
		console.printf("stopped; logs of its agents are in %s\n", dir.Logs())
	}
	return nil
}

type clusterEnvCommand struct {
	clusterFlag `embed:""`
}

// Run prints export lines for a POSIX shell: eval "$(gatehouse cluster env)".
func (c *clusterEnvCommand) Run(console *Console) error {
	dir, record, err := c.running()
	if err != nil {
		return err
	}
	pairs, err := cluster.Environ(dir, record)
	if err != nil {
		return err
	}
	for _, pair := range pairs {
		console.printf("export %s=%s\n", pair[0], quote(pair[1]))
	}
	return nil
}
