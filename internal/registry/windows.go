package registry

import (
	"slices"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/internal/mesh"
)

// Windows of flow control (RFC 9113, section 5.2) of the connections that sidecars open, in bytes:
// what a program may send ahead of a reader that does not read. Envoy's own, 16 MiB a stream and
// 24 MiB a connection, let two such readers stop all calls between two programs, which share one
// connection. The window of a connection has room for those of all requests that it admits.
const (
	streamWindow     = mesh.StreamWindow
	connectionWindow = maxRequests * streamWindow
)

// idleConnection is how long a connection between sidecars outlives its last request, in seconds:
// Envoy would keep those of connections that the program has closed for an hour.
const idleConnection = 120

// outboundWindows set the windows of a program's sidecar towards every upstream of gRPC, and give
// each connection of the program one of its own there: what a callee does not read of a stream
// fills the window of the connection that brought it, which nothing can set (ADR 0062). Consul has
// no option for any of it and ignores envoy_cluster_json where an upstream has a service-resolver,
// so the cluster is patched: its protocol options, which a patch cannot reach into, make way for
// the fields that they replaced, which Envoy deprecates and still reads. Other upstreams keep
// theirs.
func outboundWindows(p mesh.Program) []api.EnvoyExtension {
	upstreams := slices.DeleteFunc(slices.Clone(p.Upstreams), func(u mesh.Upstream) bool { return u.Protocol != "grpc" })
	if len(upstreams) == 0 {
		return nil
	}
	clusters := func() map[string]any { // one for each patch, so that rename gives each name its prefix once
		var services []any
		for _, u := range upstreams {
			services = append(services, map[string]any{"Name": u.Name})
		}
		return map[string]any{"ResourceType": "cluster", "TrafficDirection": "outbound", "Services": services}
	}
	return []api.EnvoyExtension{{
		Name:     "builtin/property-override",
		Required: true, // half of it would speak HTTP/1 to the upstream
		Arguments: map[string]any{"ProxyType": "connect-proxy", "Patches": []any{
			map[string]any{"ResourceFilter": clusters(), "Op": "remove", "Path": "/typed_extension_protocol_options"},
			map[string]any{"ResourceFilter": clusters(), "Op": "add", "Path": "/http2_protocol_options", "Value": map[string]any{
				"initial_stream_window_size": streamWindow, "initial_connection_window_size": connectionWindow,
			}},
			map[string]any{"ResourceFilter": clusters(), "Op": "add", "Path": "/connection_pool_per_downstream_connection", "Value": true},
			map[string]any{"ResourceFilter": clusters(), "Op": "add", "Path": "/common_http_protocol_options/idle_timeout/seconds", "Value": idleConnection},
		}},
	}}
}
