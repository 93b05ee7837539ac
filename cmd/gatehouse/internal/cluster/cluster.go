// Package cluster is the development cluster: a site of three hosts on one Linux machine, each made
// of namespaces, with the agent files that operators use and the jobs that they run.
//
//	this machine ── gatehouse0 ─┐
//	                            │   balancer (Envoy): TLS at the printed address
//	                     ┌──────┴─switch──────────────┐
//	                  server                 client-1, client-2
//	              Consul, Nomad: servers     Consul, Nomad: clients; allocations behind a bridge
//
// The first processes of the hosts outlive the command that started them: `down` ends them. Only
// commands of the CLI import it.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/cluster/host"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
	"github.com/gatehouse/gatehouse/consul/agent"
	"github.com/gatehouse/gatehouse/internal/mesh"
)

// Options say what to bring up and where.
type Options struct {
	Dir        state.Dir
	Definition *mesh.Definition
	Programs   Programs
	Network    Network
	Self       []string // command line that leads a host's first process to host.First, before the file of its spec
	Environ    []string // of the operator
	Now        func() time.Time
	Progress   func(format string, args ...any) // one line each
}

// Names of the hosts.
const (
	siteName   = "site"
	serverName = "server"
	clientName = "client-" // and its number, from 1
	clients    = 2
)

// postgresVolume is the host volume of the database, which only the first client has.
const postgresVolume = "gatehouse-postgres"

// cluster is one that comes up.
type cluster struct {
	opts   Options
	record Record
	keys   keys
}

// Up brings everything up and returns when all of it is healthy. Whoever calls it ends what is left
// after an error, with Down.
func Up(ctx context.Context, opts Options) error {
	c := &cluster{opts: opts, record: Record{
		Network: opts.Network.String(), Link: linkName, Datacenter: agent.Datacenter, Prefix: string(servicePrefix),
		Consul: fmt.Sprintf("%s:%d", number(opts.Network.private, serverNumber), mesh.ConsulHTTPSPort),
		Nomad:  fmt.Sprintf("https://%s:%d", number(opts.Network.private, serverNumber), nomadPort),
		URL:    "https://" + number(opts.Network.public, siteNumber).String(),
	}}
	if err := c.record.write(opts.Dir); err != nil { // from here on Down finds what there is
		return err
	}
	for _, step := range []struct {
		what string
		run  func(context.Context) error
	}{
		{"programs for the hosts", func(context.Context) error { return stage(c.programs(), opts.Programs, opts.Self[0]) }},
		{"certificates, keys and tokens", c.makeKeys},
		{"the switch and the balancer", c.startSite},
		{"the server: Consul and Nomad", c.startServer},
		{"ACLs of Consul", c.bootstrapConsul},
		{"ACLs of Nomad", c.bootstrapNomad},
		{"the clients: Consul and Nomad on each", c.startClients},
		{"config entries of Consul", c.writeEntries},
		{"policies, logins and the namespace", c.writeACLs},
		{"secrets", c.writeSecrets},
		{"jobs", c.runJobs},
	} {
		begun := opts.Now()
		if err := step.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
		opts.Progress("%s (%.1f s)", step.what, opts.Now().Sub(begun).Seconds())
	}
	c.record.Healthy = true
	return c.record.write(opts.Dir)
}

// start makes a host and lets it run. The record knows it before it does: what a killed `up` leaves
// can be found.
func (c *cluster) start(ctx context.Context, h *Host, spec host.Spec, plug func(first int) error) error {
	if err := spec.Write(c.specPath(h.Name)); err != nil {
		return err
	}
	command := append(append([]string{}, c.opts.Self...), c.specPath(h.Name))
	waiting, err := host.Start(command, spec.LogFile("host"))
	if err != nil {
		return err
	}
	h.First = waiting.Identity
	err = c.record.write(c.opts.Dir)
	if err == nil {
		err = plug(h.First.PID)
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		waiting.Abandon()
		return err
	}
	return waiting.Begin()
}

// private are the folders of which each host has its own.
func private() []string { return []string{"/var/run/netns", "/var/run/cni", "/var/lib/cni"} }

// makePlaces makes those that the machine lacks, once it is on record that they are ours.
func (c *cluster) makePlaces() error {
	return host.MakeFolders(private(), func(path string) error {
		c.record.Made = append(c.record.Made, path)
		return c.record.write(c.opts.Dir)
	})
}

// hopeless is an error that waiting does not mend.
type hopeless struct{ error }

// await polls until try succeeds, for at most patience.
func await(ctx context.Context, patience time.Duration, what string, try func(context.Context) error) error {
	limit, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	var last error
	for {
		attempt, done := context.WithTimeout(limit, attemptTimeout)
		err := try(attempt)
		done()
		switch {
		case err == nil:
			return nil
		case errors.As(err, new(hopeless)):
			return fmt.Errorf("%s: %w", what, err)
		case last == nil || limit.Err() == nil:
			last = err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-limit.Done():
			return fmt.Errorf("%s is not ready after %s: %w", what, patience, last)
		case <-tick.C:
		}
	}
}

const (
	pollEvery      = 200 * time.Millisecond
	attemptTimeout = 5 * time.Second
	patience       = 60 * time.Second // for any one part to become useful
)
