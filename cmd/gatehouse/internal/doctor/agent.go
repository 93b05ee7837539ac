package doctor

import (
	"context"
	"fmt"
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
