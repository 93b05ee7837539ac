package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/cluster/host"
	"github.com/gatehouse/gatehouse/consul/agent"
	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/registry"
)

// HostOptions say what this machine is as one host of a site.
type HostOptions struct {
	Member   Member
	Folder   string // of all that it has on the disk
	Programs Programs
	Self     string // this program, which tasks run too
	Now      func() time.Time
	Progress func(format string, args ...any)
}

// HostUp is what a virtual machine does that is a host of a site: the agents run until the context
// ends, and the server gives the others their tokens. It may run again, with what is on the disk.
func HostUp(ctx context.Context, opts HostOptions) error {
	m := opts.Member
	if len(opts.Folder) > longestDir {
		return fmt.Errorf("the path of the folder %s is too long for the sockets below it: name one of at most %d characters with --state", opts.Folder, longestDir)
	}
	link, err := linkOf(m.Address)
	if err != nil {
		return err
	}
	p := place{
		folder: opts.Folder, programs: opts.Programs, tasks: filepath.Join(opts.Folder, "programs"), link: link, progress: opts.Progress,
	}
	if err := stage(p.tasks, opts.Programs, opts.Self); err != nil {
		return err
	}
	processes, err := m.prepare(ctx, p)
	if err != nil {
		return err
	}
	spec := host.Spec{Name: m.Name, Logs: p.file("logs"), Processes: processes}
	if err := os.MkdirAll(spec.Logs, 0o700); err != nil {
		return fmt.Errorf("make the folder of the agents' logs: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		host.Agents(ctx, spec, opts.Now)
	}()
	defer func() {
		cancel()
		<-done
	}()
	opts.Progress("%s: agents start, their logs are in %s", m.Name, spec.Logs)
	if m.Server {
		if err := m.bootstrap(ctx, p); err != nil {
			return err
		}
		opts.Progress("%s: Consul and Nomad have their tokens", m.Name)
	}
	<-ctx.Done()
	return nil
}

// linkOf finds the link that has the address.
func linkOf(address netip.Addr) (string, error) {
	links, err := net.Interfaces()
	if err != nil {
		return "", fmt.Errorf("list the network links of this machine: %w", err)
	}
	for _, link := range links {
		own, err := link.Addrs()
		if err != nil {
			return "", fmt.Errorf("list the addresses of %s: %w", link.Name, err)
		}
		for _, one := range own {
			if prefix, err := netip.ParsePrefix(one.String()); err == nil && prefix.Addr() == address {
				return link.Name, nil
			}
		}
	}
	return "", fmt.Errorf("this machine has not the address %s that its keys are for: give it that address, or make keys with another --network", address)
}

// bootstrap gives the site's agents and its operator their tokens.
func (m Member) bootstrap(ctx context.Context, p place) error {
	record := siteRecord(m)
	consul, err := registry.NewClient(record.Consul, registry.Config{CA: p.ca(), Cert: p.cert(), Key: p.key(), Token: config.NewSecret(m.Tokens.Consul)})
	if err != nil {
		return err
	}
	if _, err := bootstrapConsul(ctx, consul, m.Tokens); err != nil {
		return err
	}
	nomad, err := api.NewClient(&api.Config{
		Address: record.Nomad, SecretID: m.Tokens.Nomad, TLSConfig: &api.TLSConfig{CACert: p.ca(), ClientCert: p.cert(), ClientKey: p.key()},
	})
	if err != nil {
		return fmt.Errorf("make a client of Nomad: %w", err)
	}
	return bootstrapNomad(ctx, nomad, m.Tokens.Nomad)
}

// siteRecord is what operators need to know of the site of a server.
func siteRecord(server Member) Record {
	return Record{
		Network: server.Network, Datacenter: agent.Datacenter, Prefix: string(servicePrefix),
		Consul: fmt.Sprintf("%s:%d", server.Address, mesh.ConsulHTTPSPort), Nomad: fmt.Sprintf("https://%s:%d", server.Address, nomadPort),
	}
}

// MakeSite makes the keys of a site of three hosts in a folder: a file for each host, and what its
// operator needs, with a file of shell lines that name it. It overwrites nothing.
func MakeSite(folder string, network Network, now time.Time) (made bool, err error) {
	if _, err := os.Stat(memberFile(folder, serverName)); !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	k, err := newKeys(now)
	if err != nil {
		return false, err
	}
	if folder, err = filepath.Abs(folder); err != nil {
		return false, fmt.Errorf("find the folder of the keys: %w", err)
	}
	operators, err := k.operators()
	if err != nil {
		return false, err
	}
	files := map[string]string{}
	for name, text := range operators {
		files[filepath.Join(folder, "operator", name)] = text
	}
	server, err := k.member(network, serverName, serverNumber)
	if err != nil {
		return false, err
	}
	var lines strings.Builder
	for _, pair := range variables(siteRecord(server), func(name string) string { return filepath.Join(folder, "operator", name) }, k.tokens.Nomad) {
		fmt.Fprintf(&lines, "export %s='%s'\n", pair[0], strings.ReplaceAll(pair[1], "'", `'\''`))
	}
	files[filepath.Join(folder, "environment")] = lines.String()
	if err := writeFiles(files); err != nil {
		return false, err
	}
	for i, name := range clientNames() {
		client, err := k.member(network, name, clientNumber+byte(i)+1)
		if err != nil {
			return false, err
		}
		if err := client.write(memberFile(folder, name)); err != nil {
			return false, err
		}
	}
	return true, server.write(memberFile(folder, serverName)) // the last: with it all are there
}

// memberFile is that of a host, in a folder of its own: no host gets another's.
func memberFile(folder, name string) string { return filepath.Join(folder, name, "host.json") }
