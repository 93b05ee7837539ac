package agent

import (
	"encoding/json"
	"fmt"

	"github.com/hashicorp/consul/api"
)

// Service is a registration that an agent begins with, its checks in the state that they name.
type Service struct {
	Registration *api.AgentServiceRegistration
	Token        string // ACL token of the service
}

// Services returns an agent's configuration in JSON that holds the services, as if they had been registered over the API. An agent
// remembers those by itself too, but begins with every check of theirs as critical, and gives each sidecar one more check of its own
// making: after a restart nothing would be reachable until all of them have run. It holds secrets: store it with mode 0600.
func Services(services []Service) ([]byte, error) {
	all := []any{}
	for _, s := range services {
		definition := service(s.Registration)
		definition["token"] = s.Token
		all = append(all, definition)
	}
	raw, err := json.MarshalIndent(map[string]any{"services": all}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the agent's services: %w", err)
	}
	return raw, nil
}

// service is a registration with the names that the configuration uses. It knows the fields that package mesh sets.
func service(r *api.AgentServiceRegistration) map[string]any {
	definition := object("id", r.ID, "name", r.Name, "address", r.Address, "port", r.Port)
	var checks []any
	if r.Check != nil {
		checks = append(checks, check(r.Check))
	}
	for _, c := range r.Checks {
		checks = append(checks, check(c))
	}
	definition["checks"] = checks
	if r.Proxy != nil {
		definition["proxy"] = proxy(r.Proxy)
	}
	if r.Connect != nil && r.Connect.SidecarService != nil {
		definition["connect"] = map[string]any{"sidecar_service": service(r.Connect.SidecarService)}
	}
	return definition
}

func check(c *api.AgentServiceCheck) map[string]any {
	return object("id", c.CheckID, "name", c.Name, "status", c.Status, "interval", c.Interval, "timeout", c.Timeout,
		"grpc", c.GRPC, "http", c.HTTP, "tcp", c.TCP, "alias_service", c.AliasService)
}

func proxy(p *api.AgentServiceConnectProxyConfig) map[string]any {
	definition := object("local_service_address", p.LocalServiceAddress, "local_service_port", p.LocalServicePort)
	definition["config"] = p.Config
	var upstreams []any
	for _, u := range p.Upstreams {
		upstream := object("destination_name", u.DestinationName, "local_bind_address", u.LocalBindAddress, "local_bind_port", u.LocalBindPort)
		upstream["config"] = u.Config
		upstreams = append(upstreams, upstream)
	}
	definition["upstreams"] = upstreams
	return definition
}

// object makes an object of names and values, without what is empty.
func object(pairs ...any) map[string]any {
	fields := map[string]any{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" && pairs[i+1] != 0 {
			fields[pairs[i].(string)] = pairs[i+1]
		}
	}
	return fields
}
