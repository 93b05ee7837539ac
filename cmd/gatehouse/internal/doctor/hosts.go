package doctor

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	nomad "github.com/hashicorp/nomad/api"
)

// What Gatehouse's jobs need of a host, as Nomad's clients find it.
const (
	plugin  = "plugins.cni.version." // of the bridge that each allocation's network hangs on
	driver  = "driver.exec"
	rawExec = "driver.raw_exec"
	agents  = "consul.version"
)

// neededPlugins are those that Nomad's bridge network calls.
func neededPlugins() []string {
	return []string{"bridge", "firewall", "host-local", "loopback", "portmap"}
}

// clientWithin is how long a client's API has to answer.
const clientWithin = 5 * time.Second

// hosts are Nomad's clients that take jobs.
func (s *Site) hosts(ctx context.Context) ([]*nomad.Node, error) {
	options := (&nomad.QueryOptions{}).WithContext(ctx)
	list, _, err := s.Nomad.Nodes().List(options)
	if err != nil {
		return nil, fmt.Errorf("list Nomad's clients: %w", err)
	}
	var all []*nomad.Node
	for _, entry := range list {
		if entry.Status != nomad.NodeStatusReady {
			continue
		}
		node, _, err := s.Nomad.Nodes().Info(entry.ID, options)
		if err != nil {
			return nil, fmt.Errorf("ask for Nomad's client %s: %w", entry.Name, err)
		}
		all = append(all, node)
	}
	slices.SortFunc(all, func(a, b *nomad.Node) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

// nomadHosts looks for what the jobs need: the network of an allocation, the driver, Consul's agent.
func nomadHosts(ctx context.Context, site *Site) ([]Finding, error) {
	hosts, err := site.hosts(ctx)
	if err != nil {
		return nil, err
	}
	var found []Finding
	usable := 0
	for _, host := range hosts {
		lacks := lacking(host.Attributes)
		if len(lacks) == 0 {
			usable++
			continue
		}
		found = append(found, Finding{
			Level: Warning, What: fmt.Sprintf("Nomad's client %s has %s", host.Name, strings.Join(lacks, ", ")),
			Why: "no job of Gatehouse runs there", Fix: "install what is missing, name it in the client's configuration (nomad/agent/client.hcl) and restart the client",
		})
	}
	if usable == 0 {
		found = append(found, Finding{
			Level: Danger, What: "Nomad has no client on which Gatehouse's jobs can run", Why: "the platform would not start",
			Fix: "add a client with the exec driver, CNI plugins and a Consul agent beside it",
		})
	}
	return found, nil
}

// lacking is what a host should have, in words.
func lacking(attributes map[string]string) []string {
	var lacks []string
	for _, name := range neededPlugins() {
		if attributes[plugin+name] == "" {
			lacks = append(lacks, "no CNI plugin "+name)
		}
	}
	if attributes[driver] == "" {
		lacks = append(lacks, "no exec driver")
	}
	if attributes[agents] == "" {
		lacks = append(lacks, "no Consul agent beside it")
	}
	return lacks
}

// rawExecHosts is about R82.
func rawExecHosts(ctx context.Context, site *Site) ([]Finding, error) {
	hosts, err := site.hosts(ctx)
	if err != nil {
		return nil, err
	}
	var named []string
	for _, host := range hosts {
		if host.Attributes[rawExec] != "" {
			named = append(named, host.Name)
		}
	}
	if len(named) == 0 {
		return nil, nil
	}
	return []Finding{{
		Level: Warning, What: "tasks may be root on the Nomad clients " + few(named) + " (raw_exec)",
		Why: "such a task reads the secrets and keys of whatever runs beside it",
		Fix: `set plugin "raw_exec" { config { enabled = false } }, or keep Gatehouse's jobs to other clients`,
	}}, nil
}

// templates looks for clients whose templates may call caLeaf, by which any job is handed the private
// key of any service on the host.
func templates(ctx context.Context, site *Site) ([]Finding, error) {
	hosts, err := site.hosts(ctx)
	if err != nil {
		return nil, err
	}
	open, untried := []string{}, map[string]error{}
	for _, host := range hosts {
		a, err := site.clientSelf(ctx, host)
		switch {
		case err != nil:
			untried[host.Name] = err
		case a.Config.Client.TemplateConfig == nil || !slices.Contains(a.Config.Client.TemplateConfig.FunctionDenylist, "caLeaf"):
			open = append(open, host.Name)
		}
	}
	var found []Finding
	if len(open) > 0 {
		found = append(found, Finding{
			Level: Danger, What: "templates may call caLeaf on the Nomad clients " + few(open),
			Why: "the agent runs them with its own certificate, and hands any job the private key of any service on that host",
			Fix: `set client { template { function_denylist = ["executeTemplate", "plugin", "writeToFile", "caLeaf"] } } on each and restart it`,
		})
	}
	for _, name := range slices.Sorted(maps.Keys(untried)) {
		found = append(found, Finding{Level: Untried, What: fmt.Sprintf("whether templates may call caLeaf on %s: %v: run this where its API can be reached", name, untried[name])})
	}
	return found, nil
}

// clientSelf asks the API of a client itself: servers do not know how their clients are configured.
func (s *Site) clientSelf(ctx context.Context, host *nomad.Node) (nomadAgent, error) {
	ctx, cancel := context.WithTimeout(ctx, clientWithin)
	defer cancel()
	client, err := s.Nomad.GetNodeClient(host.ID, (&nomad.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return nomadAgent{}, fmt.Errorf("reach the client: %w", err)
	}
	return selfOf(ctx, client)
}
