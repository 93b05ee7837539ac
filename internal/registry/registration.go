package registry

import (
	"encoding/json"
	"fmt"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/plan"
)

const loopback = "127.0.0.1"

// Envoy admits 1,024 concurrent requests per cluster by default; open streams count, so stream 1,025 would be refused. These bounds
// are set on both sides of every hop: in the caller's upstream and in the callee's local cluster.
const (
	maxConnections = 4096
	maxPending     = 4096
	maxRequests    = 16384
)

// How often Consul looks. Consul starts each check after a random part of its interval, so a long one delays the start of the mesh.
const (
	checkInterval = "2s"
	checkTimeout  = "3s"
)

// When a caller's sidecar leaves an instance alone that does not answer, long before Consul's check
// has seen it: after so many failures in a row (UNAVAILABLE, INTERNAL and what else is a 5xx in
// HTTP, a connection that is refused), for so long times the number of times it happened. At most
// half of the instances, so never the only one, nor the last: Consul switches off Envoy's panic
// threshold, and a caller without any instance would be answered 503 by its own sidecar.
const (
	maxFailures      = 5
	maxEjected       = 50 // percent
	ejectionTime     = "5s"
	ejectionInterval = "2s" // how often it is looked whether the time is over
)

// Registration is what a program tells the local Consul agent: itself with its health check, and its
// sidecar with one local listener per upstream. Its ports are those of the definition, which must be
// that of the instance (mesh.Definition.Local). The id is the name of the service, for a further
// instance with its number; the sidecar's is that plus "-sidecar-proxy".
func Registration(def *mesh.Definition, program string, m mesh.Config) (*api.AgentServiceRegistration, error) {
	p, err := def.Program(program)
	if err != nil {
		return nil, err
	}
	offset, id := m.PortOffset, m.ServicePrefix.Service(mesh.InstanceID(program, m.Instance))
	proxy := &api.AgentServiceConnectProxyConfig{
		LocalServiceAddress: loopback,
		LocalServicePort:    p.Port + offset,
		Config:              map[string]any{"bind_address": loopback},
	}
	check := &api.AgentServiceCheck{
		CheckID: "service:" + id, Interval: checkInterval, Timeout: checkTimeout,
		Status: api.HealthCritical,
	}
	health := plan.HealthOf(p)
	address := fmt.Sprintf("%s:%d", loopback, health.Port+offset)
	if health.Path != "" {
		check.Name, check.HTTP = "HTTP readiness", "http://"+address+health.Path
	} else {
		check.Name, check.GRPC = "gRPC health", address
	}
	if !p.Edge {
		proxy.Config["protocol"] = "grpc"
		// Envoy would end every call after 15 s; our own deadlines bound calls, and streams have none.
		proxy.Config["local_request_timeout_ms"] = 0
		proxy.Config["envoy_local_cluster_json"], err = localCluster(p.Port + offset)
		if err != nil {
			return nil, err
		}
	}
	for _, u := range p.Upstreams {
		proxy.Upstreams = append(proxy.Upstreams, upstream(u, m))
	}
	return &api.AgentServiceRegistration{
		ID: id, Name: m.ServicePrefix.Service(program), Address: loopback, Port: p.Port + offset,
		Check:   check,
		Connect: &api.AgentServiceConnect{SidecarService: sidecar(id, p.Public+offset, proxy)},
	}, nil
}

// BackingRegistration is the same for a backing service, which has no health check but whether it accepts connections.
func BackingRegistration(def *mesh.Definition, backing string, m mesh.Config) (*api.AgentServiceRegistration, error) {
	b, err := def.Backing(backing)
	if err != nil {
		return nil, err
	}
	offset, name := m.PortOffset, m.ServicePrefix.Service(backing)
	return &api.AgentServiceRegistration{
		ID: name, Name: name, Address: loopback, Port: b.Port + offset,
		Check: &api.AgentServiceCheck{
			CheckID: "service:" + name, Name: "TCP", TCP: fmt.Sprintf("%s:%d", loopback, b.Port+offset),
			Interval: checkInterval, Timeout: checkTimeout, Status: api.HealthCritical,
		},
		Connect: &api.AgentServiceConnect{SidecarService: sidecar(name, b.Public+offset, &api.AgentServiceConnectProxyConfig{
			LocalServiceAddress: loopback,
			LocalServicePort:    b.Port + offset,
			Config:              map[string]any{"bind_address": loopback, "protocol": "tcp", "max_inbound_connections": maxConnections},
		})},
	}, nil
}

// SidecarID is the id of the sidecar of a service with that id in Consul.
func SidecarID(id string) string { return id + "-sidecar-proxy" }

// sidecar registers with explicit checks: Consul's defaults would leave the sidecar critical for up to 10 s after each start.
func sidecar(id string, public int, proxy *api.AgentServiceConnectProxyConfig) *api.AgentServiceRegistration {
	return &api.AgentServiceRegistration{
		Address: loopback, Port: public, Proxy: proxy,
		Checks: api.AgentServiceChecks{
			{
				CheckID: "sidecar:" + id, Name: "Sidecar listens", TCP: fmt.Sprintf("%s:%d", loopback, public),
				Interval: checkInterval, Timeout: checkTimeout, Status: api.HealthCritical,
			},
			{CheckID: "alias:" + id, Name: "Program is healthy", AliasService: id},
		},
	}
}

func upstream(u mesh.Upstream, m mesh.Config) api.Upstream {
	config := map[string]any{
		"protocol": u.Protocol,
		"limits": map[string]any{
			"max_connections": maxConnections, "max_pending_requests": maxPending, "max_concurrent_requests": maxRequests,
		},
		"passive_health_check": map[string]any{
			"interval": ejectionInterval, "max_failures": maxFailures, "enforcing_consecutive_5xx": 100,
			"base_ejection_time": ejectionTime, "max_ejection_percent": maxEjected,
		},
	}
	if u.Protocol != "grpc" { // whose service-resolver says it
		config["connect_timeout_ms"] = connectTimeout.Milliseconds()
	}
	return api.Upstream{
		DestinationName: m.ServicePrefix.Service(u.Name), LocalBindAddress: loopback, LocalBindPort: u.Port + m.PortOffset, Config: config,
	}
}

// localCluster is the whole Envoy cluster "local_app" (Consul's escape hatch: it replaces the generated one): HTTP/2 to the program,
// with circuit breakers and windows that Consul has no option for.
func localCluster(port int) (string, error) {
	cluster := map[string]any{
		"@type":           "type.googleapis.com/envoy.config.cluster.v3.Cluster",
		"name":            "local_app",
		"type":            "STATIC",
		"connect_timeout": connectTimeout.String(),
		"typed_extension_protocol_options": map[string]any{
			"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": map[string]any{
				"@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
				"explicit_http_config": map[string]any{"http2_protocol_options": map[string]any{
					"initial_stream_window_size": streamWindow, "initial_connection_window_size": connectionWindow,
				}},
			},
		},
		"circuit_breakers": map[string]any{
			"thresholds": []any{map[string]any{
				"max_connections": maxConnections, "max_pending_requests": maxPending, "max_requests": maxRequests,
			}},
		},
		"load_assignment": map[string]any{
			"cluster_name": "local_app",
			"endpoints": []any{map[string]any{"lb_endpoints": []any{map[string]any{"endpoint": map[string]any{
				"address": map[string]any{"socket_address": map[string]any{"address": loopback, "port_value": port}},
			}}}}},
		},
	}
	data, err := json.Marshal(cluster)
	if err != nil {
		return "", fmt.Errorf("write local cluster: %w", err)
	}
	return string(data), nil
}
