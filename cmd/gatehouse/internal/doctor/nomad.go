package doctor

import (
	"context"
	"fmt"
	"slices"

	nomad "github.com/hashicorp/nomad/api"
)

// nomadAgent is what a Nomad agent says of itself.
type nomadAgent struct {
	Config struct {
		NodeName string
		ACL      struct{ Enabled bool }
		Server   struct{ Enabled bool }
		Client   struct {
			Enabled        bool
			TemplateConfig *struct{ FunctionDenylist []string }
		}
		Consuls   []nomadConsul
		TLSConfig struct {
			EnableHTTP, EnableRPC, VerifyServerHostname bool
		}
	} `json:"config"`
	Stats struct {
		Gossip struct {
			Encrypted string `json:"encrypted"`
		} `json:"serf"`
	} `json:"stats"`
}

// nomadConsul is a consul block of an agent.
type nomadConsul struct {
	Name            string
	ServiceIdentity *struct{ Audience []string }

	ServiceIdentityAuthMethod string
}

func selfOf(ctx context.Context, client *nomad.Client) (nomadAgent, error) {
	var a nomadAgent
	if _, err := client.Raw().Query("/v1/agent/self", &a, (&nomad.QueryOptions{}).WithContext(ctx)); err != nil {
		return a, fmt.Errorf("ask Nomad's agent for its configuration: %w", err)
	}
	return a, nil
}

// nomadACL is about R82.
func nomadACL(ctx context.Context, site *Site) ([]Finding, error) {
	a, err := selfOf(ctx, site.Nomad)
	if err != nil || a.Config.ACL.Enabled {
		return nil, err
	}
	return []Finding{{
		Level: Danger, What: fmt.Sprintf("the Nomad agent %s has no ACLs", a.Config.NodeName),
		Why: "everybody who reaches it submits jobs in Gatehouse's namespace, and with them is Gatehouse and reads its secrets",
		Fix: "set acl { enabled = true } on all agents, and `nomad acl bootstrap`",
	}}, nil
}

// nomadTLS is about R82.
func nomadTLS(ctx context.Context, site *Site) ([]Finding, error) {
	a, err := selfOf(ctx, site.Nomad)
	if err != nil {
		return nil, err
	}
	var found []Finding
	add := func(level Level, wrong bool, what, why, fix string) {
		if wrong {
			found = append(found, Finding{Level: level, What: fmt.Sprintf("the Nomad agent %s %s", a.Config.NodeName, what), Why: why, Fix: fix})
		}
	}
	tls := a.Config.TLSConfig
	add(Danger, !tls.EnableRPC || !tls.VerifyServerHostname, "does not ask other agents who they are",
		"whoever reaches its RPC port joins as a server or client and gets the jobs with their secrets",
		"set tls { rpc = true, verify_server_hostname = true } with certificates of a CA for the agents alone (nomad/agent has the files)")
	add(Warning, !tls.EnableHTTP, "answers in plain HTTP", "tokens and secrets cross the network in clear", "set tls { http = true }")
	add(Warning, a.Config.Server.Enabled && a.Stats.Gossip.Encrypted != "true", "gossips in clear", "whoever reaches its port can tell the servers of each other what is not so",
		"set server { encrypt = … } to a key of `nomad operator gossip keyring generate`")
	return found, nil
}

// nomadIdentity is about R83: without identities of their own, workloads use the agent's token or none.
func nomadIdentity(ctx context.Context, site *Site) ([]Finding, error) {
	a, err := selfOf(ctx, site.Nomad)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(a.Config.Consuls, func(c nomadConsul) bool { return c.Name == "default" })
	switch {
	case i < 0:
		return nil, fmt.Errorf("the Nomad agent %s does not say how it uses Consul", a.Config.NodeName)
	case !a.Config.Server.Enabled:
		return nil, fmt.Errorf("the Nomad agent %s is no server, and servers give identities to services: set NOMAD_ADDR to one of them", a.Config.NodeName)
	case a.Config.Consuls[i].ServiceIdentity == nil || !slices.Contains(a.Config.Consuls[i].ServiceIdentity.Audience, "consul.io"):
		return []Finding{{
			Level: Danger, What: fmt.Sprintf("the Nomad server %s gives services no identity for Consul", a.Config.NodeName),
			Why: "sidecars get no token of their own: they do not start, or are what the agent's token is",
			Fix: `set consul { service_identity { aud = ["consul.io"], ttl = "1h" } } and task_identity likewise on all servers`,
		}}, nil
	case a.Config.Consuls[i].ServiceIdentityAuthMethod != site.AuthMethod:
		return []Finding{{
			Level: Danger, What: fmt.Sprintf("the Nomad agent %s logs services in by the auth method %s, and Gatehouse's rules would be of %s",
				a.Config.NodeName, a.Config.Consuls[i].ServiceIdentityAuthMethod, site.AuthMethod),
			Why: "none of Gatehouse's services would be given a token",
			Fix: "name that method with --auth-method here and as auth_method in Terraform",
		}}, nil
	}
	return nil, nil
}
