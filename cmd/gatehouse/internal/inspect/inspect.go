// Package inspect says what a running platform looks like: the answer of `gatehouse status`.
package inspect

import (
	"context"
	"fmt"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/platform"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
	"github.com/gatehouse/gatehouse/consul/agent"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/registry"
	"github.com/gatehouse/gatehouse/internal/request"
)

// Unknown is the health of a service that Consul says nothing about, also because Consul itself is down.
const Unknown = "unknown"

// Status is the whole platform, for machines. Addresses are host:port.
type Status struct {
	Gateway  Gateway   `json:"gateway"`
	Consul   Consul    `json:"consul"`
	Services []Service `json:"services"` // programs by port, then backing services
}

// Gateway is the public door.
type Gateway struct {
	URL string `json:"url"`
}

// Consul is the agent.
type Consul struct {
	Address     string `json:"address"` // of its HTTPS API
	TokenFile   string `json:"token_file"`
	CAFile      string `json:"ca_file"`
	CertFile    string `json:"cert_file"` // the client certificate that it asks for
	KeyFile     string `json:"key_file"`
	XDS         string `json:"xds"`          // its gRPC port over TLS
	TrustDomain string `json:"trust_domain"` // of the mesh's CA: the beginning of every SPIFFE id
	Datacenter  string `json:"datacenter"`
	PID         int    `json:"pid"`

	ServicePrefix request.ServicePrefix `json:"service_prefix,omitempty"` // of the services' names in it
}

// Service is a program, or a backing service such as postgres, with its sidecar.
type Service struct {
	Name      string         `json:"name"` // "identity", and "identity-2" for a second instance
	PID       int            `json:"pid"`  // 0 while it does not run, or when the platform does not run it
	Health    string         `json:"health"`
	GRPC      string         `json:"grpc,omitempty"` // its own port on loopback
	REST      string         `json:"rest,omitempty"` // its REST door, where that is open
	HTTP      string         `json:"http,omitempty"` // its ops listener: /livez /readyz /metrics /version
	TCP       string         `json:"tcp,omitempty"`  // own port of a backing service
	Sidecar   Sidecar        `json:"sidecar"`
	Upstreams map[string]int `json:"upstreams"` // local port of the sidecar that leads to the named service

	InstanceOf string `json:"instance_of,omitempty"` // program that a further instance is of
}

// Sidecar is the Envoy of a service.
type Sidecar struct {
	PID    int    `json:"pid"`
	Admin  string `json:"admin"`
	Public string `json:"public"`
}

// Healthy reports whether every service is.
func (s Status) Healthy() bool {
	for _, service := range s.Services {
		if service.Health != api.HealthPassing {
			return false
		}
	}
	return true
}

// Look asks the record and Consul.
func Look(ctx context.Context, dir state.Dir, record state.Record, def *mesh.Definition) Status {
	status := Status{
		Gateway: Gateway{URL: record.Gateway},
		Consul: Consul{
			Address: record.Consul, TokenFile: dir.SecretPath(platform.ManagementToken), CAFile: dir.SecretPath(platform.ConsulCA), CertFile: dir.SecretPath(platform.ConsulClientCert),
			KeyFile: dir.SecretPath(platform.ConsulClientKey), XDS: record.XDS(),
			TrustDomain: record.TrustDomain, Datacenter: agent.Datacenter, PID: record.PID(state.ConsulProcess), ServicePrefix: record.ServicePrefix,
		},
	}
	health := healthOf(ctx, dir, record)
	for _, p := range def.Instances(record.Scale) {
		service := one(record, p.ID(), health, p.Admin, p.Public)
		if p.Number > 1 {
			service.InstanceOf = p.Name
		}
		if !p.Edge {
			service.GRPC = address(record, p.Port)
		}
		if record.REST && p.RESTPort != 0 {
			service.REST = address(record, p.RESTPort)
		}
		service.HTTP = address(record, p.OpsPort)
		for _, u := range p.Upstreams {
			service.Upstreams[u.Name] = u.Port + record.Offset
		}
		status.Services = append(status.Services, service)
	}
	for _, b := range def.Backings {
		service := one(record, b.Name, health, b.Admin, b.Public)
		service.TCP = record.Postgres
		status.Services = append(status.Services, service)
	}
	return status
}

func one(record state.Record, name string, health func(string) string, admin, public int) Service {
	return Service{
		Name: name, PID: record.PID(name), Health: health(name), Upstreams: map[string]int{},
		Sidecar: Sidecar{PID: record.PID(state.SidecarOf(name)), Admin: address(record, admin), Public: address(record, public)},
	}
}

func address(record state.Record, port int) string {
	return fmt.Sprintf("127.0.0.1:%d", port+record.Offset)
}

// healthOf asks Consul once and answers per service: the worst of its own checks and those of its sidecar.
func healthOf(ctx context.Context, dir state.Dir, record state.Record) func(service string) string {
	unknown := func(string) string { return Unknown }
	token, err := dir.ReadSecret(platform.ManagementToken)
	if err != nil {
		return unknown
	}
	client, err := registry.NewClient(record.Consul, platform.ConsulAPI(dir, token))
	if err != nil {
		return unknown
	}
	checks, err := client.Agent().ChecksWithFilterOpts("", (&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return unknown
	}
	return func(service string) string {
		var all api.HealthChecks
		id := record.ServicePrefix.Service(service)
		for _, c := range checks {
			if c.ServiceID == id || c.ServiceID == registry.SidecarID(id) {
				all = append(all, &api.HealthCheck{Status: c.Status, CheckID: c.CheckID})
			}
		}
		if len(all) == 0 {
			return Unknown
		}
		return all.AggregatedStatus()
	}
}
