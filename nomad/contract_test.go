package nomad_test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/plan"
	"github.com/gatehouse/gatehouse/internal/registry"
)

// nobody is the user of all tasks on Debian and its kin.
const nobody = 65534

// problems are the differences between a job and what follows from the contract.
func problems(t *testing.T, def *mesh.Definition, p plan.Program, j job) []string {
	t.Helper()
	registration, err := registry.Registration(def, p.Name, mesh.Config{ServicePrefix: prefix})
	if err != nil {
		t.Fatal(err)
	}
	g := j.TaskGroups[0]
	found := identityOf(j, p.Name)
	found = append(found, proxyProblems(t, registration, p.OpsPort, g.Services[0])...)
	found = append(found, portProblems(p, g)...)
	found = append(found, taskProblems(p, g)...)
	if p.Edge {
		if g.Update.Canary != 0 || len(g.Constraints) != 1 || g.Constraints[0].Operand != "distinct_hosts" {
			found = append(found, "a static port wants distinct hosts and no canary")
		}
		return found
	}
	if g.Update.Canary != g.Count || !g.Update.AutoPromote {
		found = append(found, fmt.Sprintf("%d instances and canary %d", g.Count, g.Update.Canary))
	}
	if time.Duration(g.ShutdownDelay) != 10*time.Second {
		found = append(found, fmt.Sprintf("shutdown_delay is %s", time.Duration(g.ShutdownDelay)))
	}
	return found
}

// identityOf looks at the names by which ACLs know a job, and at what its sidecar runs as.
func identityOf(j job, name string) []string {
	var found []string
	g := j.TaskGroups[0]
	if j.ID != name || g.Name != name || len(g.Services) != 1 || g.Services[0].Name != prefix+name {
		found = append(found, fmt.Sprintf("the job is %s, its group %s, its service %s", j.ID, g.Name, g.Services[0].Name))
	}
	if j.Namespace != registry.NomadNamespace {
		found = append(found, "the namespace is "+j.Namespace)
	}
	sidecar := g.Services[0].Connect.SidecarTask
	if sidecar.Driver != "exec" || sidecar.User != "nobody" || sidecar.Config["command"] != programs+"/envoy" {
		found = append(found, fmt.Sprintf("the sidecar is %+v", sidecar))
	}
	if !reflect.DeepEqual(sidecar.Config["cap_drop"], []any{"all"}) {
		found = append(found, "the sidecar keeps capabilities")
	}
	for _, task := range g.Tasks {
		if !reflect.DeepEqual(task.Config["cap_drop"], []any{"all"}) { // R82
			found = append(found, task.Name+" keeps capabilities")
		}
		if task.Driver != "exec" || task.User != "nobody" {
			found = append(found, fmt.Sprintf("%s: the driver is %s, not exec, or the user %q, not nobody", task.Name, task.Driver, task.User))
		}
		if task.Consul != nil || task.Vault != nil || len(task.Identities) > 0 {
			found = append(found, task.Name+": it asks for a token of Consul")
		}
	}
	return found
}

// exposedCluster is where the paths lead that answer outside of the mesh. Consul makes it of the cluster
// of the program where a proxy has one of its own, whose name and port are others.
func exposedCluster(port int) string {
	return fmt.Sprintf(`{"name": "exposed_cluster_%d", "type": "STATIC", "load_assignment": {"cluster_name": "exposed_cluster_%d",
		"endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": %d}}}}]}]}}`, port, port, port)
}

// proxyProblems compares a sidecar with that of the same program on one machine.
func proxyProblems(t *testing.T, want *api.AgentServiceRegistration, opsPort int, s service) []string {
	t.Helper()
	var found []string
	sidecar, got := want.Connect.SidecarService.Proxy, s.Connect.SidecarService.Proxy
	if s.PortLabel != fmt.Sprint(want.Port) || got.LocalServicePort != 0 || got.LocalServiceAddress != "" { // which the service's port is by default
		found = append(found, fmt.Sprintf("the service is at %s, its proxy leads to %s:%d", s.PortLabel, got.LocalServiceAddress, got.LocalServicePort))
	}
	config := maps.Clone(sidecar.Config)
	delete(config, "bind_address") // of the allocation's namespace
	config["envoy_prometheus_bind_addr"] = "0.0.0.0:9102"
	if _, whole := config["envoy_local_cluster_json"]; whole {
		config["envoy_extra_static_clusters_json"] = exposedCluster(opsPort)
	}
	if diff := cmp.Diff(normal(t, config), normal(t, got.Config)); diff != "" {
		found = append(found, "the proxy's config differs (-contract +job):\n"+diff)
	}
	upstreams := map[string]upstream{}
	for _, u := range sidecar.Upstreams {
		upstreams[u.DestinationName] = upstream{u.DestinationName, "", u.LocalBindPort, u.Config}
	}
	there := map[string]upstream{}
	for _, u := range got.Upstreams {
		there[u.DestinationName] = u
	}
	if diff := cmp.Diff(normal(t, upstreams), normal(t, there)); diff != "" {
		found = append(found, "the upstreams differ (-contract +job):\n"+diff)
	}
	return found
}

// portProblems looks at what answers outside of the allocation: health and metrics on the ops
// network, the gateway on the public one.
func portProblems(p plan.Program, g group) []string {
	var found []string
	network := g.Networks[0]
	ports := map[string]port{}
	for _, port := range append(network.DynamicPorts, network.ReservedPorts...) {
		ports[port.Label] = port
	}
	want := map[string]port{
		"readyz":        {Label: "readyz", To: -1, HostNetwork: opsNetwork},
		"metrics":       {Label: "metrics", To: -1, HostNetwork: opsNetwork},
		"envoy_metrics": {Label: "envoy_metrics", To: 9102, HostNetwork: opsNetwork},
	}
	if p.Edge {
		want["https"] = port{Label: "https", Value: 8443, To: p.Port, HostNetwork: publicNet}
	}
	if diff := cmp.Diff(want, ports); diff != "" || network.Mode != "bridge" {
		found = append(found, "the ports differ (-want +job):\n"+diff)
	}
	if network.DNS == nil { // then Nomad gives a task no /etc/resolv.conf
		found = append(found, "the network has no dns {}: hosts are not found by their names")
	}
	s := g.Services[0]
	exposed := map[string]string{}
	for _, path := range s.Connect.SidecarService.Proxy.Expose.Paths {
		exposed[path.Path] = fmt.Sprintf("%s to %d", path.ListenerPort, path.LocalPathPort)
	}
	if diff := cmp.Diff(map[string]string{"/readyz": fmt.Sprintf("readyz to %d", p.OpsPort), "/metrics": fmt.Sprintf("metrics to %d", p.OpsPort)}, exposed); diff != "" {
		found = append(found, "the expose paths differ (-want +job):\n"+diff)
	}
	for _, name := range []string{"readyz", "metrics", "envoy_metrics"} {
		if s.Meta[name+"_port"] != "${NOMAD_HOST_PORT_"+name+"}" {
			found = append(found, "the meta does not say the port of "+name)
		}
	}
	if len(s.Checks) != 1 || s.Checks[0].Type != "http" || s.Checks[0].Path != "/readyz" || s.Checks[0].PortLabel != "readyz" {
		found = append(found, fmt.Sprintf("the checks are %+v", s.Checks))
	}
	return found
}

// taskProblems compares the tasks with those of the plan.
func taskProblems(p plan.Program, g group) []string {
	var found []string
	tasks := map[string]task{}
	for _, task := range g.Tasks {
		tasks[task.Name] = task
	}
	var verbs []string
	for _, want := range p.Tasks {
		verbs = append(verbs, want.Verb)
		got, ok := tasks[want.Verb]
		if !ok {
			continue
		}
		found = append(found, environmentProblems(p, want, got)...)
		if got.Config["command"] != programs+"/"+p.Name || fmt.Sprint(got.Config["args"]) != "["+want.Verb+"]" {
			found = append(found, fmt.Sprintf("%s runs %v", want.Verb, got.Config))
		}
		prestart := got.Lifecycle != nil && got.Lifecycle.Hook == "prestart" && !got.Lifecycle.Sidecar
		beside := got.Lifecycle != nil && got.Lifecycle.Hook == "poststart" && got.Lifecycle.Sidecar
		if prestart != (want.Verb == plan.Migrate) || beside != (want.Verb == plan.Keep) {
			found = append(found, fmt.Sprintf("the lifecycle of %s is %+v", want.Verb, got.Lifecycle))
		}
		if want.Verb == plan.Serve && time.Duration(got.KillTimeout) < 25*time.Second { // a drain takes 4 s and 10 s by default
			found = append(found, fmt.Sprintf("kill_timeout is %s", time.Duration(got.KillTimeout)))
		}
	}
	slices.Sort(verbs)
	if names := sorted(tasks); !slices.Equal(names, verbs) {
		found = append(found, fmt.Sprintf("the tasks are %v, want %v", names, verbs))
	}
	return found
}

// environmentProblems compares the environment of a task, and the files of its secrets.
func environmentProblems(p plan.Program, want plan.Task, got task) []string {
	env := map[string]string{"GATEHOUSE_LOG_LEVEL": "debug"} // the operator's
	secrets := map[string]string{}
	path := fmt.Sprintf("nomad/jobs/%s/%s/%s", p.Name, p.Name, want.Verb)
	secret := func(item, file string) {
		env[item+"_FILE"] = "${NOMAD_SECRETS_DIR}/" + file
		secrets["${NOMAD_SECRETS_DIR}/"+file] = fmt.Sprintf("{{ with nomadVar `%s` }}{{ .%s }}{{ end }} 0400 %d %d noop", path, item, nobody, nobody)
	}
	for _, v := range want.Env {
		switch v.Source {
		case plan.PortOffset: // none in a namespace of its own
		case plan.TrustDomain:
			env[v.Name] = trustDomain
		case plan.Datacenter:
			env[v.Name] = datacenter
		case plan.ServicePrefix:
			env[v.Name] = prefix
		case plan.SecretFile:
			secret(strings.TrimSuffix(v.Name, "_FILE"), v.Secret)
		}
	}
	if p.Edge {
		env["GATEHOUSE_GATEWAY_LISTEN"], env["GATEHOUSE_DRAIN_DELAY"] = fmt.Sprintf("0.0.0.0:%d", p.Port), "10s"
		secret("GATEHOUSE_GATEWAY_TLS_CERT", "gateway.crt")
		secret("GATEHOUSE_GATEWAY_TLS_KEY", "gateway.key")
	}
	var found []string
	if diff := cmp.Diff(env, got.Env); diff != "" {
		found = append(found, fmt.Sprintf("the environment of %s differs (-plan +job):\n%s", want.Verb, diff))
	}
	files := map[string]string{}
	for _, t := range got.Templates {
		ids := "root"
		if t.UID != nil && t.GID != nil {
			ids = fmt.Sprintf("%d %d", *t.UID, *t.GID)
		}
		files[t.DestPath] = fmt.Sprintf("%s %s %s %s", t.EmbeddedTmpl, t.Perms, ids, t.ChangeMode)
	}
	if diff := cmp.Diff(secrets, files); diff != "" {
		found = append(found, fmt.Sprintf("the secrets of %s differ (-plan +job):\n%s", want.Verb, diff))
	}
	return found
}
