package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/host"
)

// agent is what Consul's agent says of itself. DebugConfig has no promise of Consul's: what is not
// there is not judged.
type agent struct {
	Config struct {
		NodeName string
		Server   bool
	}
	DebugConfig struct {
		ACLsEnabled         *bool
		ACLResolverSettings *struct{ ACLDefaultPolicy string }
		ConnectEnabled      *bool

		DefaultIntentionPolicy *string
		HTTPBlockEndpoints     []string
		HTTPPort, HTTPSPort    int

		TLS *struct{ GRPC, HTTPS, InternalRPC listener }
	}
	Stats struct {
		Gossip struct {
			Encrypted string `json:"encrypted"`
		} `json:"serf_lan"`
	}
	XDS struct {
		SupportedProxies map[string][]string
	} `json:"xDS"`
}

// listener is what an agent asks of who connects.
type listener struct {
	VerifyIncoming, VerifyOutgoing, VerifyServerHostname bool
}

// self asks the agent.
func (s *Site) self(ctx context.Context) (agent, error) {
	var a agent
	if _, err := s.Consul.Raw().Query("/v1/agent/self", &a, asked(ctx)); err != nil {
		return a, fmt.Errorf("ask Consul's agent for its configuration: %w", err)
	}
	return a, nil
}

// consulACL is about R75: nothing is allowed that no token allows.
func consulACL(ctx context.Context, site *Site) ([]Finding, error) {
	a, err := site.self(ctx)
	if err != nil {
		return nil, err
	}
	of := "the agent " + a.Config.NodeName
	switch {
	case a.DebugConfig.ACLsEnabled == nil || a.DebugConfig.ACLResolverSettings == nil:
		return nil, fmt.Errorf("%s does not say whether its ACLs are on: look for acl { enabled = true } in its configuration", of)
	case !*a.DebugConfig.ACLsEnabled:
		return []Finding{{
			Level: Danger, What: of + " has no ACLs", Why: "everybody who reaches it is every service and may change every intention",
			Fix: `set acl { enabled = true, default_policy = "deny" } on all agents and make tokens (consul/agent has the files)`,
		}}, nil
	case a.DebugConfig.ACLResolverSettings.ACLDefaultPolicy != "deny":
		return []Finding{{
			Level: Danger, What: fmt.Sprintf("the default policy of %s is %q", of, a.DebugConfig.ACLResolverSettings.ACLDefaultPolicy),
			Why: "what no token allows is allowed", Fix: `set acl { default_policy = "deny" } on all agents, after who needs a token has one`,
		}}, nil
	}
	return nil, nil
}

// consulTLS is about R75: agents know each other, and nothing crosses the network in clear.
func consulTLS(ctx context.Context, site *Site) ([]Finding, error) {
	a, err := site.self(ctx)
	if err != nil {
		return nil, err
	}
	if a.DebugConfig.TLS == nil {
		return nil, fmt.Errorf("the agent %s does not say how it uses TLS: look for tls in its configuration", a.Config.NodeName)
	}
	var found []Finding
	add := func(level Level, wrong bool, what, why, fix string) {
		if wrong {
			found = append(found, Finding{Level: level, What: fmt.Sprintf("the agent %s %s", a.Config.NodeName, what), Why: why, Fix: fix})
		}
	}
	rpc := a.DebugConfig.TLS.InternalRPC
	add(Danger, !rpc.VerifyOutgoing || !rpc.VerifyServerHostname, "does not ask servers who they are (internal_rpc)",
		"whoever answers in a server's place is told every token", "set tls { defaults { verify_outgoing = true }, internal_rpc { verify_server_hostname = true } }")
	add(Danger, a.Config.Server && !rpc.VerifyIncoming, "takes RPC from who shows no certificate",
		"whoever reaches its port 8300 speaks with the servers as an agent does", "set tls { internal_rpc { verify_incoming = true } } on the servers")
	add(Danger, a.DebugConfig.HTTPSPort <= 0, "has no HTTPS API", "tokens cross the network in clear", "set ports { https = 8501 } with certificates of a CA for the agents alone")
	add(Warning, a.DebugConfig.HTTPPort > 0, fmt.Sprintf("answers in plain HTTP on port %d", a.DebugConfig.HTTPPort),
		"every process that reaches it may ask, and reads the tokens of others that do on the way", "set ports { http = -1 } when all use HTTPS")
	add(Warning, a.DebugConfig.HTTPSPort > 0 && !a.DebugConfig.TLS.HTTPS.VerifyIncoming, "asks who uses its HTTPS API for no certificate",
		"a token that has leaked is enough", "set tls { https { verify_incoming = true } } when Nomad's agents and operators have certificates")
	add(Warning, !a.Config.Server && a.DebugConfig.TLS.GRPC.VerifyIncoming, "asks sidecars for a certificate of the agents",
		"sidecars have none and must not have one: they get no configuration", "set tls { grpc { verify_incoming = false } } on clients")
	add(Danger, a.Stats.Gossip.Encrypted != "true", "gossips in clear", "whoever reaches its port 8301 tells the agents who is alive and joins them",
		"set encrypt to a key of `consul keygen`")
	return found, nil
}

// consulConnect is about R75: sidecars have certificates, and what no intention allows is denied.
func consulConnect(ctx context.Context, site *Site) ([]Finding, error) {
	a, err := site.self(ctx)
	if err != nil {
		return nil, err
	}
	config := a.DebugConfig
	if config.ConnectEnabled == nil || config.DefaultIntentionPolicy == nil || config.ACLResolverSettings == nil {
		return nil, fmt.Errorf("the agent %s does not say whether Connect is on: look for connect { enabled = true } in its configuration", a.Config.NodeName)
	}
	var found []Finding
	if !*config.ConnectEnabled {
		found = append(found, Finding{
			Level: Danger, What: fmt.Sprintf("Connect is off on the agent %s", a.Config.NodeName), Why: "there is no mesh: sidecars get no certificates",
			Fix: "set connect { enabled = true } on all agents",
		})
	}
	// Without a word of its own, what no intention decides is as what no token decides.
	if policy := cmp.Or(*config.DefaultIntentionPolicy, config.ACLResolverSettings.ACLDefaultPolicy); policy != "deny" {
		found = append(found, Finding{
			Level: Danger, What: fmt.Sprintf("the default intention policy of the agent %s is %q", a.Config.NodeName, policy),
			Why: "whoever has a sidecar calls every service that has no intentions yet", Fix: `set default_intention_policy = "deny" on all agents`,
		})
	}
	return found, nil
}

// consulVersion compares what runs with the floor for production (R84).
func consulVersion(ctx context.Context, site *Site) ([]Finding, error) {
	nodes, _, err := site.Consul.Catalog().Nodes(asked(ctx))
	if err != nil {
		return nil, fmt.Errorf("ask Consul for its nodes: %w", err)
	}
	running := map[string][]string{}
	for _, node := range nodes {
		if version := node.Meta["consul-version"]; version != "" {
			running[version] = append(running[version], node.Node)
		}
	}
	if len(running) == 0 {
		return nil, errors.New("no node of Consul's catalog says its version, or the token may read none")
	}
	return below("consul", running)
}

// envoyVersion compares the Envoys that Consul is made for with the floor. Which one a sidecar is says
// its own admin alone, which `gatehouse mesh verify` asks.
func envoyVersion(ctx context.Context, site *Site) ([]Finding, error) {
	a, err := site.self(ctx)
	if err != nil {
		return nil, err
	}
	known := a.XDS.SupportedProxies["envoy"]
	if len(known) == 0 {
		return nil, fmt.Errorf("the agent %s serves no sidecars (ports { grpc_tls }), so it does not say for which Envoys it is made", a.Config.NodeName)
	}
	for _, text := range known {
		version, err := host.ParseVersion(text)
		if err != nil {
			return nil, fmt.Errorf("read the Envoys that Consul knows: %w", err)
		}
		if sentence, err := host.Below("envoy", version); sentence == "" {
			return nil, err
		}
	}
	return []Finding{{
		Level: Warning, What: fmt.Sprintf("the agent %s is made for Envoy %s, and all of them are below the floor for production", a.Config.NodeName, strings.Join(known, ", ")),
		Why: "older ones have known request-handling vulnerabilities, and newer ones Consul's makers have not tried",
		Fix: "run an Envoy on the floor, and `gatehouse mesh verify` with it, which vouches for the pair; or a newer Consul",
	}}, nil
}

// below is a warning for each version that is below the floor, by who runs it.
func below(program string, running map[string][]string) ([]Finding, error) {
	var found []Finding
	for _, text := range slices.Sorted(maps.Keys(running)) {
		version, err := host.ParseVersion(text)
		if err != nil {
			return found, fmt.Errorf("read the version of %s: %w", program, err)
		}
		sentence, err := host.Below(program, version)
		if err != nil {
			return found, err
		}
		if sentence == "" {
			continue
		}
		what, why, _ := strings.Cut(sentence, ": ")
		found = append(found, Finding{Level: Warning, What: fmt.Sprintf("%s, on %s", what, few(running[text])), Why: why, Fix: "upgrade it before production"})
	}
	return found, nil
}
