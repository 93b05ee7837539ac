package render_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	consulapi "github.com/hashicorp/consul/api"
	nomadapi "github.com/hashicorp/nomad/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/logs"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/render"
	"github.com/gatehouse/gatehouse/consul"
	"github.com/gatehouse/gatehouse/internal/registry"
	"github.com/gatehouse/gatehouse/internal/testkit/consultest"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
	"github.com/gatehouse/gatehouse/internal/testkit/nomadtest"
	"github.com/gatehouse/gatehouse/nomad/acl"
)

const prefix = "gatehouse-"

// By the commands of Consul and Nomad the files make what `gatehouse` makes by itself, also when they
// are applied again: entries, policies, rules, the auth method, the namespace.
func TestAppliedFilesAreWhatGatehouseWrites(t *testing.T) {
	def := meshtest.Definition(t)
	nomad := nomadtest.New(t)
	keys := nomad.Address + "/.well-known/jwks.json"

	want := consultest.NewOneMachine(t)
	mesh, err := consulapi.DecodeConfigEntryFromJSON(consul.MeshEntry())
	if err != nil {
		t.Fatal(err)
	}
	entries := append(registry.ConfigEntries(def, prefix), logs.Entry(), mesh)
	registry.Admit(def, prefix, entries, []string{"edge-envoy"})
	for _, err := range []error{
		registry.WriteEntries(t.Context(), want.Client, entries),
		registry.WritePolicies(t.Context(), want.Client, def, prefix),
		registry.WriteLogin(t.Context(), want.Client, def, prefix, registry.Login(keys, "")),
		acl.Apply(t.Context(), nomad.Client),
		policyOf(want.Client, registry.NomadClientPolicy("host-1", prefix)),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	wantNomad := dumpNomad(t, nomad)
	if _, err := nomad.ACLPolicies().Delete("gatehouse-ci", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := nomad.Namespaces().Delete("gatehouse", nil); err != nil {
		t.Fatal(err)
	}

	got := consultest.NewOneMachine(t)
	folder := files(t, render.Options{
		Definition: def, Prefix: prefix, Ingress: []string{"edge-envoy"}, AuthMethod: registry.AuthMethod, Own: &render.Own{JWKSURL: keys},
		Clients: []string{"host-1"},
	})
	for range 2 { // also over itself
		if out, err := apply(t, folder, got, nomad); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	if diff := cmp.Diff(dump(t, want.Client), dump(t, got.Client)); diff != "" {
		t.Errorf("Consul (-gatehouse +files):\n%s", diff)
	}
	if diff := cmp.Diff(wantNomad, dumpNomad(t, nomad)); diff != "" {
		t.Errorf("Nomad (-gatehouse +files):\n%s", diff)
	}
}

// What is somebody else's stays, and what was denied by hand stays denied: nothing is written then.
func TestWhatStopsTheFiles(t *testing.T) {
	c, nomad := consultest.NewOneMachine(t), nomadtest.New(t)
	folder := files(t, render.Options{Definition: meshtest.Definition(t), Prefix: prefix, AuthMethod: registry.AuthMethod})
	stops := func(want string, environ ...string) {
		t.Helper()
		out, err := apply(t, folder, c, nomad, environ...)
		policies, _, listed := c.ACL().PolicyList(nil)
		if err == nil || listed != nil || strings.Count(out, "\n") != 1 || !strings.Contains(out, want) {
			t.Errorf("%v, %v, %q, want one line with %q", err, listed, out, want)
		}
		for _, policy := range policies {
			if policy.Name == "gatehouse-audit" {
				t.Errorf("%q came too late", want)
			}
		}
	}
	write := func(entry consulapi.ConfigEntry) {
		t.Helper()
		if _, _, err := c.ConfigEntries().Set(entry, nil); err != nil {
			t.Fatal(err)
		}
	}
	write(&consulapi.ServiceConfigEntry{Kind: consulapi.ServiceDefaults, Name: "gatehouse-postgres", Protocol: "http"})
	stops("service-defaults of gatehouse-postgres that is not Gatehouse's")
	write(&consulapi.ServiceConfigEntry{Kind: consulapi.ServiceDefaults, Name: "gatehouse-postgres", Protocol: "tcp", Meta: registry.Managed()})
	denied := &consulapi.ServiceIntentionsConfigEntry{
		Kind: consulapi.ServiceIntentions, Name: "gatehouse-postgres", Meta: map[string]string{"managed-by": "gatehouse", "denied gatehouse-audit": "by hand"},
		Sources: []*consulapi.SourceIntention{{Name: "gatehouse-audit", Action: consulapi.IntentionActionDeny}},
	}
	write(denied)
	stops("denied by hand")
	if _, err := nomad.ACLPolicies().Upsert(&nomadapi.ACLPolicy{Name: "gatehouse-ci", Description: "mine", Rules: `agent { policy = "read" }`}, nil); err != nil {
		t.Fatal(err)
	}
	stops("policy gatehouse-ci that is not Gatehouse's", "UNDO_DENIES=true")
	if _, err := nomad.Namespaces().Register(&nomadapi.Namespace{Name: "gatehouse", Description: "mine"}, nil); err != nil {
		t.Fatal(err)
	}
	stops("namespace gatehouse that is not Gatehouse's", "UNDO_DENIES=true")
	theirs := &consulapi.ACLPolicy{Name: "gatehouse-gateway", Description: "theirs", Rules: `node_prefix "" { policy = "read" }`}
	if _, _, err := c.ACL().PolicyCreate(theirs, nil); err != nil {
		t.Fatal(err)
	}
	stops("policy gatehouse-gateway that is not Gatehouse's", "UNDO_DENIES=true")
}

// A folder with other files is left alone.
func TestAFolderThatIsNotEmpty(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "old.json"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	site, err := render.Of(render.Options{Definition: meshtest.Definition(t), Prefix: prefix, AuthMethod: registry.AuthMethod})
	if err != nil {
		t.Fatal(err)
	}
	if err := site.Write(folder); err == nil || !strings.Contains(err.Error(), "is not empty") {
		t.Error(err)
	}
}

func policyOf(client *consulapi.Client, policy *consulapi.ACLPolicy) error {
	_, _, err := client.ACL().PolicyCreate(policy, nil)
	return err
}

func files(t *testing.T, o render.Options) string {
	t.Helper()
	site, err := render.Of(o)
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(t.TempDir(), "out")
	if err := site.Write(folder); err != nil {
		t.Fatal(err)
	}
	return folder
}

// apply runs the script as its README says, from another folder.
func apply(t *testing.T, folder string, c *consultest.OneMachine, nomad *nomadtest.Server, environ ...string) (string, error) {
	t.Helper()
	program, err := consultest.Find("consul")
	if err != nil {
		t.Fatalf("%v: run make tools", err)
	}
	bin, err := filepath.Abs(filepath.Dir(program))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", filepath.Join(folder, "apply.sh"))
	cmd.Env = append(append(nomad.Environ(nomad.Token), "PATH="+bin+":"+os.Getenv("PATH"), "CONSUL_HTTP_ADDR=https://"+c.HTTPS, "CONSUL_HTTP_TOKEN="+c.Token,
		"CONSUL_CACERT="+c.CAFile, "CONSUL_CLIENT_CERT="+c.CertFile, "CONSUL_CLIENT_KEY="+c.KeyFile), environ...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// counted are what servers count and choose.
var counted = regexp.MustCompile(`"(CreateIndex|ModifyIndex|CreateTime|ModifyTime|Hash|ID)":("[^"]*"|\d+),?|,?"Hash":"[^"]*"`)

func text(t *testing.T, value any) string {
	t.Helper()
	raw, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return counted.ReplaceAllString(string(raw), "")
}

// dump is all that is there, by what it is.
func dump(t *testing.T, client *consulapi.Client) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, kind := range []string{consulapi.ServiceDefaults, consulapi.ServiceResolver, consulapi.ServiceIntentions, consulapi.ProxyDefaults, consulapi.MeshConfig} {
		entries, _, err := client.ConfigEntries().List(kind, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			all[kind+"/"+entry.GetName()] = text(t, entry)
		}
	}
	policies, _, err := client.ACL().PolicyList(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, policy := range policies {
		whole, _, err := client.ACL().PolicyRead(policy.ID, nil)
		if err != nil {
			t.Fatal(err)
		}
		all["policy/"+policy.Name] = text(t, whole)
	}
	rules, _, err := client.ACL().BindingRuleList("", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range rules {
		all["rule/"+rule.Description] += text(t, rule) // of two, both
	}
	methods, _, err := client.ACL().AuthMethodList(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, method := range methods {
		whole, _, err := client.ACL().AuthMethodRead(method.Name, nil)
		if err != nil {
			t.Fatal(err)
		}
		all["method/"+method.Name] = text(t, whole)
	}
	if len(all) < 30 {
		t.Fatalf("only %d things are there", len(all))
	}
	return all
}

func dumpNomad(t *testing.T, nomad *nomadtest.Server) map[string]string {
	t.Helper()
	all := map[string]string{}
	namespaces, _, err := nomad.Namespaces().List(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, namespace := range namespaces {
		all["namespace/"+namespace.Name] = text(t, namespace)
	}
	policies, _, err := nomad.ACLPolicies().List(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, policy := range policies {
		whole, _, err := nomad.ACLPolicies().Info(policy.Name, nil)
		if err != nil {
			t.Fatal(err)
		}
		all["policy/"+policy.Name] = text(t, whole)
	}
	return all
}
