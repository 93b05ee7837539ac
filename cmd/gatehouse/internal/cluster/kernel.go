package cluster

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
)

// part is one of the kernel that hosts or Nomad's plugins use, with a command that needs it.
type part struct{ what, command, load string }

func parts() []part {
	return []part{
		{"bridges", "ip link add name probe type bridge", "modprobe bridge"},
		{"pairs of links", "ip link add name probe0 type veth peer name probe1", "modprobe veth"},
		{
			"address translation by iptables", "iptables -w -t nat -A POSTROUTING -m comment --comment probe -j MASQUERADE",
			"modprobe -a nft_compat xt_MASQUERADE xt_comment` or, where iptables is the legacy one, `modprobe iptable_nat",
		},
	}
}

// checkSystem tries what hosts and Nomad's plugins do, in a network namespace that is gone afterwards.
func checkSystem(ctx context.Context) error {
	for command, packages := range map[string]string{"ip": "iproute2", "nsenter": "util-linux", "iptables": "iptables"} {
		if _, err := exec.LookPath(command); err != nil {
			return fmt.Errorf("the command %s was not found, which sets up networks: install it (Debian: apt-get install %s)", command, packages)
		}
	}
	for _, p := range parts() {
		if err := p.try(ctx, &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}); err != nil {
			return err
		}
	}
	return nil
}

// try runs the command, isolated.
func (p part) try(ctx context.Context, isolated *syscall.SysProcAttr) error {
	words := strings.Fields(p.command)
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.SysProcAttr = isolated
	out, err := cmd.CombinedOutput()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.EPERM):
		return errors.New("the kernel gives root no network namespace here: run this outside of a container, or in a privileged one")
	case ctx.Err() != nil:
		return ctx.Err()
	default:
		return fmt.Errorf("this kernel has no %s (%s): load the module with `%s`, or run a kernel that has it", p.what, strings.Join(strings.Fields(string(out)), " "), p.load)
	}
}
