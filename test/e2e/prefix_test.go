package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/platform"
)

// A platform whose services have a prefix in Consul is the same platform: everything passes the
// verification, and whoever lacks the prefix is nobody. So is one with two instances of programs.
// Started again without, nothing of either is left.
func TestAPlatformWithAServicePrefixAndTwoInstances(t *testing.T) {
	dir := t.TempDir()
	openToAll(t, dir)
	state := filepath.Join(dir, "state")
	prefixed := plat.Copy(state, 5000, "GATEHOUSE_MESH_SERVICE_PREFIX=gatehouse-", "GATEHOUSE_CLI_SCALE=identity=2,auth=2")
	if err := prefixed.Up(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = prefixed.Down() })
	verified(t, prefixed)
	status, err := prefixed.Status()
	check.NoError(t, err)
	client := consulOf(t, status)
	wantServices(t, client, "gatehouse-", "identity", "auth")
	wantEntries(t, client, "gatehouse-")
	callersNeedThePrefix(t, prefixed, status)
	deniedNamesPrograms(t, prefixed)
	if out, err := prefixed.CLI(t.Context(), "env"); err != nil || !strings.Contains(string(out), "export GATEHOUSE_MESH_SERVICE_PREFIX='gatehouse-'\n") {
		t.Errorf("gatehouse env: %v\n%s", err, out)
	}

	t.Run("two instances", func(t *testing.T) { twoInstances(t, prefixed) })

	check.NoError(t, prefixed.Down())
	plain := plat.Copy(state, 5000)
	if err := plain.Up(); err != nil {
		t.Fatal(err)
	}
	verified(t, plain)
	wantServices(t, client, "")
	wantEntries(t, client, "")
}

// verified fails unless `mesh verify` passes.
func verified(t *testing.T, p *platform.Platform) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if out, err := p.CLI(ctx, "mesh", "verify"); err != nil {
		t.Errorf("gatehouse mesh verify: %v\n%s", err, out)
	}
}

// wantServices compares the catalog with the programs and backing services of the definition, of
// some of which there are two instances.
func wantServices(t *testing.T, client *api.Client, prefix string, scaled ...string) {
	t.Helper()
	services, _, err := client.Catalog().Services(nil)
	check.NoError(t, err)
	for _, name := range []string{"gateway", "identity", "auth", "authz", "audit", "postgres"} {
		for _, service := range []string{prefix + name, prefix + name + "-sidecar-proxy"} {
			if _, there := services[service]; !there {
				t.Errorf("Consul has no service %s", service)
			}
			delete(services, service)
		}
		instances, _, err := client.Health().Service(prefix+name, "", true, nil)
		check.NoError(t, err)
		var ids []string
		for _, one := range instances {
			ids = append(ids, one.Service.ID)
		}
		want := []string{prefix + name}
		if slices.Contains(scaled, name) {
			want = append(want, prefix+name+"-2")
		}
		if slices.Sort(ids); !slices.Equal(ids, want) {
			t.Errorf("healthy instances of %s are %v, want %v", name, ids, want)
		}
	}
	delete(services, "consul")
	if len(services) > 0 {
		t.Errorf("Consul also has %v", services)
	}
}

// wantEntries fails unless every config entry is ours and none is of another prefix.
func wantEntries(t *testing.T, client *api.Client, prefix string) {
	t.Helper()
	for kind, count := range map[string]int{api.ServiceDefaults: 6, api.ServiceResolver: 4, api.ServiceIntentions: 6} {
		entries, _, err := client.ConfigEntries().List(kind, nil)
		check.NoError(t, err)
		for _, entry := range entries {
			if strings.HasPrefix(entry.GetName(), "gatehouse-") != (prefix != "") || entry.GetMeta()["managed-by"] != "gatehouse" {
				t.Errorf("Consul has a %s of %s with Meta %v", kind, entry.GetName(), entry.GetMeta())
			}
		}
		if len(entries) != count {
			t.Errorf("%d entries of %s, want %d", len(entries), kind, count)
		}
	}
}

// callersNeedThePrefix asks a service past the mesh (R94).
func callersNeedThePrefix(t *testing.T, p *platform.Platform, s platform.Status) {
	t.Helper()
	identity, err := p.Service("identity")
	check.NoError(t, err)
	conn, err := grpc.NewClient(identity.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	check.NoError(t, err)
	defer func() { _ = conn.Close() }()
	ours := meshIn(s)
	without, elsewhere, foreign := ours, ours, ours
	without.Prefix, elsewhere.Datacenter, foreign.TrustDomain = "", "dc2", "11111111-2222-3333-4444-555555555555.consul"
	const method = "/gatehouse.identity.v1.UserDirectoryService/RegisterUser"
	for id, want := range map[string]string{
		ours.SPIFFE("gateway"): "CALLER_NOT_ADMITTED", without.SPIFFE("auth"): "CALLER_UNKNOWN", elsewhere.SPIFFE("auth"): "CALLER_UNKNOWN", foreign.SPIFFE("auth"): "CALLER_UNKNOWN",
	} {
		if code, reason := askAs(t, conn, method, id); code != codes.PermissionDenied || reason != want {
			t.Errorf("%s: %s %s, want %s", id, code, reason, want)
		}
	}
}

// deniedNamesPrograms looks at what the verification has left in the sidecars' logs.
func deniedNamesPrograms(t *testing.T, p *platform.Platform) {
	t.Helper()
	check.Within(t, 25*time.Second, "the refused calls are listed", func() error { // Envoy writes its access log every 10 s
		out, err := p.CLI(t.Context(), "mesh", "denied", "-o", "json")
		check.NoError(t, err)
		var calls []struct{ Caller, Callee string }
		check.NoError(t, json.Unmarshal(out, &calls))
		callers := map[string]bool{}
		for _, c := range calls {
			callers[c.Caller] = true
		}
		for _, name := range []string{"gateway", "identity", "auth", "authz", "audit", "postgres"} {
			if !callers[name] {
				return fmt.Errorf("%s is not among the callers %v", name, callers)
			}
		}
		if len(callers) != 6 {
			t.Fatalf("callers are %v", callers)
		}
		return nil
	})
}
