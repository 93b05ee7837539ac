package acl_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/hashicorp/nomad/api"

	"github.com/gatehouse/gatehouse/internal/registry"
	"github.com/gatehouse/gatehouse/internal/testkit/nomadtest"
	"github.com/gatehouse/gatehouse/nomad/acl"
)

// CI submits jobs in our namespace and nowhere else, with no other driver than exec, and reads no
// secret. Operators read and write those, and none of others (R82).
func TestWhoMayDoWhat(t *testing.T) {
	server := nomadtest.New(t)
	for range 2 { // also over itself
		if err := acl.Apply(t.Context(), server.Client); err != nil {
			t.Fatal(err)
		}
	}
	ci, operator := client(t, server, "gatehouse-ci"), client(t, server, "gatehouse-operator")
	const path = "nomad/jobs/identity/identity/serve"
	secret := func(c *api.Client) error {
		_, _, err := c.Variables().Update(&api.Variable{Path: path, Items: api.VariableItems{"A": "b"}}, nil)
		return err
	}
	read := func(c *api.Client) error {
		_, _, err := c.Variables().Read(path, nil)
		return err
	}
	submit := func(c *api.Client, namespace, driver string) error {
		_, _, err := c.Jobs().Register(job(namespace, driver), &api.WriteOptions{Namespace: namespace})
		return err
	}
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"CI submits":                       {submit(ci, registry.NomadNamespace, "exec"), ""},
		"CI submits elsewhere":             {submit(ci, api.DefaultNamespace, "exec"), "403"},
		"CI submits what is root":          {submit(ci, registry.NomadNamespace, "raw_exec"), "task driver"},
		"CI writes a secret":               {secret(ci), "403"},
		"an operator submits":              {submit(operator, registry.NomadNamespace, "exec"), ""},
		"an operator submits elsewhere":    {submit(operator, api.DefaultNamespace, "exec"), "403"},
		"an operator writes a secret":      {secret(operator), ""},
		"an operator reads it":             {read(operator), ""},
		"CI reads it":                      {read(ci), "403"},
		"CI looks at hosts":                {first(ci.Nodes().List(nil)), "403"},
		"an operator looks at hosts":       {first(operator.Nodes().List(nil)), ""},
		"an operator makes an ACL policy":  {first(operator.ACLPolicies().Upsert(&api.ACLPolicy{Name: "x", Rules: `agent { policy = "read" }`}, nil)), "403"},
		"an operator makes another tenant": {first(operator.Namespaces().Register(&api.Namespace{Name: "x"}, nil)), "403"},
	} {
		if c.want == "" && c.err != nil || c.want != "" && (c.err == nil || !strings.Contains(c.err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, c.err, c.want)
		}
	}
}

// What somebody else made under one of our names stays.
func TestWhatIsNotOursIsRefused(t *testing.T) {
	server := nomadtest.New(t)
	if _, err := server.ACLPolicies().Upsert(&api.ACLPolicy{Name: "gatehouse-ci", Description: "mine", Rules: `agent { policy = "read" }`}, nil); err != nil {
		t.Fatal(err)
	}
	if err := acl.Apply(t.Context(), server.Client); err == nil || !strings.Contains(err.Error(), "policy gatehouse-ci that is not Gatehouse's") {
		t.Errorf("a policy: %v", err)
	}
	if _, err := server.Namespaces().Register(&api.Namespace{Name: registry.NomadNamespace, Description: "mine"}, nil); err != nil {
		t.Fatal(err)
	}
	if err := acl.Apply(t.Context(), server.Client); err == nil || !strings.Contains(err.Error(), "namespace gatehouse that is not Gatehouse's") {
		t.Errorf("a namespace: %v", err)
	}
}

// client has a token of the policy alone.
func client(t *testing.T, server *nomadtest.Server, policy string) *api.Client {
	t.Helper()
	token, _, err := server.ACLTokens().Create(&api.ACLToken{Type: "client", Policies: []string{policy}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := api.NewClient(&api.Config{Address: server.Address, SecretID: token.SecretID, Namespace: registry.NomadNamespace, HttpClient: http.DefaultClient})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func job(namespace, driver string) *api.Job {
	j := api.NewServiceJob("try-"+driver, "try", "global", 50)
	j.Namespace = &namespace
	task := api.NewTask("try", driver)
	task.Config = map[string]any{"command": "/bin/true"}
	return j.AddTaskGroup(api.NewTaskGroup("try", 1).AddTask(task))
}

// first drops what a call gives beside its error.
func first(results ...any) error {
	err, _ := results[len(results)-1].(error)
	return err
}
