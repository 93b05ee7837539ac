package cli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/cluster"
)

type hostKeysCommand struct {
	Network string `help:"512 private addresses: in each half the server is 11, the clients are 21 and 22." default:"192.168.60.0/23" placeholder:"CIDR"`
	Folder  string `arg:"" help:"Folder for the files, which hold secrets."`
}

// Run makes the keys, once.
func (c *hostKeysCommand) Run(console *Console) error {
	network, err := cluster.ParseNetwork(c.Network)
	if err != nil {
		return err
	}
	made, err := cluster.MakeSite(c.Folder, network, console.Now())
	switch {
	case err != nil:
		return err
	case !made:
		console.printf("%s has keys already\n", c.Folder)
	default:
		console.printf("made the keys of a site: `. %s` points nomad and consul at it\n", filepath.Join(c.Folder, "environment"))
	}
	return nil
}

type hostUpCommand struct {
	Role   string `required:"" enum:"server,client" help:"server: of Consul and Nomad; client: runs jobs."`
	Keys   string `required:"" help:"File of this host, made by host keys." placeholder:"FILE"`
	State  string `help:"Folder of all that the host has on its disk." default:"/var/lib/gatehouse-host" placeholder:"DIR"`
	BinDir string `help:"Folder of the programs; that of this executable when empty." env:"GATEHOUSE_CLI_BIN_DIR" placeholder:"DIR"`
}

// Run lives as long as the host.
func (c *hostUpCommand) Run(console *Console) error {
	syscall.Umask(0o022)
	ctx, release := signal.NotifyContext(context.Background(), stopSignals()...)
	defer release()
	member, err := cluster.ReadMember(c.Keys)
	if err != nil {
		return err
	}
	if member.Server != (c.Role == "server") {
		return fmt.Errorf("the keys of %s are not a %s's: name those of another host with --keys, or the other --role", member.Name, c.Role)
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	if c.BinDir == "" {
		c.BinDir = filepath.Dir(self)
	}
	def, err := definition("")
	if err != nil {
		return err
	}
	programs, err := cluster.Find(ctx, c.BinDir, names(def))
	if err != nil {
		return err
	}
	return cluster.HostUp(ctx, cluster.HostOptions{
		Member: member, Folder: c.State, Programs: programs, Self: self, Now: console.Now,
		Progress: func(format string, args ...any) { console.printf(format+"\n", args...) },
	})
}
