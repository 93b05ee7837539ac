package cli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/cluster"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/cluster/host"
)

type clusterHostCommand struct {
	Fail clusterFailCommand `cmd:"" help:"End everything on a host at once, as a loss of power does; its disk stays."`
	Heal clusterHealCommand `cmd:"" help:"Start a host again, or mend its link."`
	Keys hostKeysCommand    `cmd:"" help:"Make the keys of a site of three machines: a file for the host up of each, and what its operator needs."`
	Up   hostUpCommand      `cmd:"" help:"Be one host of such a site, as root, until a signal ends it: Consul and Nomad."`
}

type clusterFailCommand struct {
	clusterFlag `embed:""`
	Name        string `arg:"" help:"Name of the host, as in cluster status."`
	Link        bool   `help:"Only its link is cut; what runs on it goes on."`
}

// Run lets a host fail.
func (c *clusterFailCommand) Run(console *Console) error {
	dir, _, err := c.running()
	if err != nil {
		return err
	}
	if err := cluster.Fail(context.Background(), dir, c.Name, c.Link); err != nil {
		return err
	}
	console.printf("%s has failed; `gatehouse cluster host heal %s` heals it\n", c.Name, c.Name)
	return nil
}

type clusterHealCommand struct {
	clusterFlag `embed:""`
	Name        string `arg:"" help:"Name of the host, as in cluster status."`
}

// Run heals a host.
func (c *clusterHealCommand) Run(console *Console) error {
	dir, _, err := c.running()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	if err := cluster.Heal(context.Background(), dir, c.Name, []string{self, "cluster", "init"}); err != nil {
		return err
	}
	console.printf("%s runs again\n", c.Name)
	return nil
}

// clusterInitCommand is how this program starts itself on a host.
type clusterInitCommand struct {
	Agents bool   `help:"Be its second process, which runs the agents."`
	Spec   string `arg:""`
}

// Run lives as long as the host.
func (c *clusterInitCommand) Run(console *Console) error {
	spec, err := host.Read(c.Spec)
	if err != nil {
		return err
	}
	ctx, release := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer release()
	if c.Agents {
		host.Agents(ctx, spec, console.Now)
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	return host.First(ctx, spec, []string{self, "cluster", "init", "--agents", c.Spec})
}
