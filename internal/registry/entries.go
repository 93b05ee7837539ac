package registry

import (
	"slices"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/request"
)

// streamTimeout replaces Envoy's 15 s for every call and stream through a caller's sidecar; Consul refuses to switch it off. The
// programs' own deadlines bound unary calls.
const streamTimeout = 240 * time.Hour

// connectTimeout is here and not in the upstreams of registrations, or Consul would name their
// clusters by other names than those by which extensions find them (outboundWindows).
const connectTimeout = 2 * time.Second

// inboundScript replaces the caller header of a request by the SPIFFE id of the peer's mesh
// certificate, which must be its only URI. Without one the header is gone, and the program refuses
// the request. Then it takes off the trailers of the request, which no gRPC client sends: grpc-go
// closes the connection that brings them, and all callers share that one.
const inboundScript = `function envoy_on_request(handle)
  local headers = handle:headers()
  headers:remove("` + request.CallerHeader + `")
  local connection = handle:streamInfo():downstreamSslConnection()
  if connection ~= nil then
    local uris = connection:uriSanPeerCertificate()
    if uris ~= nil and #uris == 1 then
      headers:add("` + request.CallerHeader + `", uris[1])
    end
  end
  local trailers = handle:trailers()
  if trailers ~= nil then
    local names = {}
    for name in pairs(trailers) do
      names[#names + 1] = name
    end
    for _, name in ipairs(names) do
      trailers:remove(name)
    end
  end
end
`

// ConfigEntries are Consul's side of the definition, in the order in which they must be written: a
// service's protocol (service-defaults) before the rules that need it. Only entries named after our
// own programs and backing services are among them, and all of them say that they are ours.
func ConfigEntries(d *mesh.Definition, prefix request.ServicePrefix) []api.ConfigEntry {
	var entries []api.ConfigEntry
	for _, p := range d.Programs {
		entries = append(entries, programDefaults(p))
	}
	for _, b := range d.Backings {
		entries = append(entries, serviceDefaults(b.Name, "tcp"))
	}
	for _, p := range d.Programs {
		if serves(d, p.Name) {
			entries = append(entries, &api.ServiceResolverConfigEntry{
				Kind: api.ServiceResolver, Name: p.Name, ConnectTimeout: connectTimeout, RequestTimeout: streamTimeout, Meta: Managed(),
			})
		}
	}
	for _, p := range d.Programs {
		entries = append(entries, programIntentions(d, p.Name))
	}
	for _, b := range d.Backings {
		entries = append(entries, backingIntentions(b))
	}
	for _, entry := range entries {
		rename(entry, prefix)
	}
	return entries
}

// programDefaults says the protocol, the windows of the program's own calls and what its sidecar
// does with requests. Nobody calls the edge through the mesh: its public listener is its own, and
// its sidecar is there for its upstreams only, so it needs no caller header.
func programDefaults(p mesh.Program) *api.ServiceConfigEntry {
	if p.Edge {
		entry := serviceDefaults(p.Name, "http")
		entry.EnvoyExtensions = outboundWindows(p)
		return entry
	}
	entry := serviceDefaults(p.Name, "grpc")
	entry.EnvoyExtensions = append([]api.EnvoyExtension{{
		Name:     "builtin/lua",
		Required: true, // no traffic rather than traffic without an identity
		Arguments: map[string]any{
			"ProxyType": "connect-proxy",
			"Listener":  "inbound",
			"Script":    inboundScript,
		},
	}}, outboundWindows(p)...)
	return entry
}

func serviceDefaults(name, protocol string) *api.ServiceConfigEntry {
	return &api.ServiceConfigEntry{
		Kind:             api.ServiceDefaults,
		Name:             name,
		Protocol:         protocol,
		TransparentProxy: &api.TransparentProxyConfig{}, // the server writes this default out
		Meta:             Managed(),
	}
}

func serves(d *mesh.Definition, program string) bool {
	return slices.ContainsFunc(d.Methods, func(m mesh.Method) bool { return m.Callee == program })
}

// programIntentions allow each caller its exact paths. The two denials say what an ACL default of "deny" says too, so that the rules
// hold in a cluster with another default.
func programIntentions(d *mesh.Definition, callee string) *api.ServiceIntentionsConfigEntry {
	entry := &api.ServiceIntentionsConfigEntry{Kind: api.ServiceIntentions, Name: callee, Meta: Managed()}
	for _, name := range callersOf(d, callee) {
		source := source(name, "")
		for _, m := range d.Methods {
			if m.Callee == callee && slices.Contains(m.Callers, name) {
				source.Permissions = append(source.Permissions, &api.IntentionPermission{
					Action: api.IntentionActionAllow,
					HTTP:   &api.IntentionHTTPPermission{PathExact: m.Path},
				})
			}
		}
		source.Permissions = append(source.Permissions, &api.IntentionPermission{
			Action: api.IntentionActionDeny,
			HTTP:   &api.IntentionHTTPPermission{PathPrefix: "/"},
		})
		entry.Sources = append(entry.Sources, source)
	}
	entry.Sources = append(entry.Sources, everybodyElse())
	return entry
}

func callersOf(d *mesh.Definition, callee string) []string {
	var names []string
	for _, m := range d.Methods {
		if m.Callee == callee {
			names = append(names, m.Callers...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func backingIntentions(b mesh.Backing) *api.ServiceIntentionsConfigEntry {
	entry := &api.ServiceIntentionsConfigEntry{Kind: api.ServiceIntentions, Name: b.Name, Meta: Managed()}
	for _, name := range b.Callers {
		entry.Sources = append(entry.Sources, source(name, api.IntentionActionAllow))
	}
	entry.Sources = append(entry.Sources, everybodyElse())
	return entry
}

func source(name string, action api.IntentionAction) *api.SourceIntention {
	return &api.SourceIntention{Name: name, Action: action, Precedence: 9, Type: api.IntentionSourceConsul}
}

// everybody is the source that stands for all others.
const everybody = "*"

func everybodyElse() *api.SourceIntention {
	return &api.SourceIntention{Name: everybody, Action: api.IntentionActionDeny, Precedence: 8, Type: api.IntentionSourceConsul}
}
