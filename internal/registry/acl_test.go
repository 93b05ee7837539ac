package registry_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/registry"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/testkit/consultest"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
)

// A job is given the policy of its own service, and nobody else is: neither a job of another
// namespace that names our service, nor another job of ours (R83).
func TestWhoLogsInAsWhat(t *testing.T) {
	o := consultest.NewOneMachine(t)
	def := meshtest.Definition(t)
	if err := registry.WritePolicies(t.Context(), o.Client, def, prefix); err != nil {
		t.Fatal(err)
	}
	key, url := nomad(t)
	method := registry.Login(url, "")
	for range 2 { // also over itself
		if err := registry.WriteLogin(t.Context(), o.Client, def, prefix, method); err != nil {
			t.Fatal(err)
		}
	}
	rules, _, err := o.ACL().BindingRuleList(registry.AuthMethod, nil)
	if err != nil || len(rules) != len(registry.Services(def)) {
		t.Errorf("%d rules for %d services, %v", len(rules), len(registry.Services(def)), err)
	}
	for name, c := range map[string]struct{ namespace, job, service, policy string }{
		"its own job":                      {"gatehouse", "identity", "gatehouse-identity", "gatehouse-identity"},
		"PostgreSQL's job":                 {"gatehouse", "postgres", "gatehouse-postgres", "gatehouse-postgres"},
		"a job of another namespace":       {"default", "identity", "gatehouse-identity", ""},
		"a foreign job with our service":   {"default", "shop", "gatehouse-authz", ""},
		"our job with another's service":   {"gatehouse", "identity", "gatehouse-authz", ""},
		"another job of ours":              {"gatehouse", "identity-2", "gatehouse-identity", ""},
		"a service without the prefix":     {"gatehouse", "identity", "identity", ""},
		"a service that none of ours is":   {"gatehouse", "shop", "gatehouse-shop", ""},
		"a task, which names no service":   {"gatehouse", "identity", "", ""},
		"a namespace that begins like it":  {"gatehouse-2", "identity", "gatehouse-identity", ""},
		"a job id with a quote of its own": {"gatehouse", `identity" or value.nomad_job_id=="x`, "gatehouse-identity", ""},
	} {
		claims := jwt.MapClaims{"aud": []string{"consul.io"}, "nomad_namespace": c.namespace, "nomad_job_id": c.job, "exp": time.Now().Add(time.Minute).Unix()}
		if c.service != "" {
			claims["nomad_service"] = c.service
		}
		signed := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
		signed.Header["kid"] = "1"
		bearer, err := signed.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		token, _, err := o.ACL().Login(&api.ACLLoginParams{AuthMethod: registry.AuthMethod, BearerToken: bearer}, nil)
		switch {
		case c.policy == "":
			if err == nil || !strings.Contains(err.Error(), "403") {
				t.Errorf("%s: %+v, %v", name, token, err)
			}
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case len(token.Policies) != 1 || token.Policies[0].Name != c.policy || len(token.Roles)+len(token.ServiceIdentities) > 0 || token.ExpirationTime != nil:
			t.Errorf("%s: the token is %+v", name, token)
		}
	}
}

// nomad answers where Consul asks Nomad for the key by which it signs.
func nomad(t *testing.T) (key *rsa.PrivateKey, url string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		number := func(n *big.Int) string { return base64.RawURLEncoding.EncodeToString(n.Bytes()) }
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{map[string]string{
			"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "1", "n": number(key.N), "e": number(big.NewInt(int64(key.E))),
		}}})
	}))
	t.Cleanup(server.Close)
	return key, server.URL
}

// What others made stays: a policy of one of our names is an error, their rules beside ours are not
// touched, and a method of theirs keeps its configuration. Ours of services that are gone go.
func TestWhatOthersMadeStays(t *testing.T) {
	o := consultest.NewOneMachine(t)
	def := meshtest.Definition(t)
	_, theirURL := nomad(t)
	_, ourURL := nomad(t)
	theirs := registry.Login(theirURL, "")
	theirs.Description = "theirs"
	if _, _, err := o.ACL().AuthMethodCreate(theirs, nil); err != nil {
		t.Fatal(err)
	}
	gone := registry.BindingRule("gone", prefix)
	for _, rule := range []*api.ACLBindingRule{gone, {AuthMethod: registry.AuthMethod, BindType: "service", BindName: "shop", Selector: `value.nomad_job_id=="shop"`}} {
		if _, _, err := o.ACL().BindingRuleCreate(rule, nil); err != nil {
			t.Fatal(err)
		}
	}
	ours := registry.Login(ourURL, "")
	if err := registry.WriteLogin(t.Context(), o.Client, def, prefix, ours); err != nil {
		t.Fatal(err)
	}
	method, _, err := o.ACL().AuthMethodRead(registry.AuthMethod, nil)
	if err != nil || method.Config["JWKSURL"] != theirURL {
		t.Errorf("the method is now %+v, %v", method, err)
	}
	rules, _, err := o.ACL().BindingRuleList(registry.AuthMethod, nil)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, rule := range rules {
		names[rule.BindName] = true
	}
	if !names["shop"] || names["gatehouse-gone"] || !names["gatehouse-audit"] || len(rules) != len(registry.Services(def))+1 {
		t.Errorf("the rules bind to %v", names)
	}
	theirs.MaxTokenTTL = time.Hour
	if _, _, err := o.ACL().AuthMethodUpdate(theirs, nil); err != nil {
		t.Fatal(err)
	}
	if err := registry.WriteLogin(t.Context(), o.Client, def, prefix, ours); err == nil || !strings.Contains(err.Error(), "MaxTokenTTL") {
		t.Errorf("a method whose tokens end: %v", err)
	}

	if _, _, err := o.ACL().PolicyCreate(&api.ACLPolicy{Name: "gatehouse-audit", Description: "theirs", Rules: `node_prefix "" { policy = "read" }`}, nil); err != nil {
		t.Fatal(err)
	}
	if err := registry.WritePolicies(t.Context(), o.Client, def, prefix); err == nil || !strings.Contains(err.Error(), "policy gatehouse-audit that is not Gatehouse's") {
		t.Errorf("a policy of others: %v", err)
	}
	kept, _, err := o.ACL().PolicyReadByName("gatehouse-audit", nil)
	if err != nil || kept.Description != "theirs" {
		t.Errorf("it is now %+v, %v", kept, err)
	}
}

// Two installations with a prefix of their own each, one of which may have none, share a Consul: what
// either writes leaves the other's policies and rules alone, and takes away its own of services that
// it has no more.
func TestInstallationsBesideEachOther(t *testing.T) {
	o := consultest.NewOneMachine(t)
	def := meshtest.Definition(t)
	_, url := nomad(t)
	before := *def
	before.Backings = append([]mesh.Backing{{Name: "gone"}}, def.Backings...)
	prefixes := []request.ServicePrefix{prefix, prefix + "b-", ""}
	for _, one := range prefixes {
		for _, d := range []*mesh.Definition{&before, def} {
			if err := errors.Join(
				registry.WritePolicies(t.Context(), o.Client, d, one),
				registry.WriteLogin(t.Context(), o.Client, d, one, registry.Login(url, "")),
			); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := map[string]bool{}
	for _, one := range prefixes {
		for _, name := range registry.Services(def) {
			want[one.Service(name)] = true
		}
	}
	rules, _, err := o.ACL().BindingRuleList(registry.AuthMethod, nil)
	if err != nil {
		t.Fatal(err)
	}
	bound, named := map[string]bool{}, map[string]bool{}
	for _, rule := range rules {
		bound[rule.BindName] = true
	}
	policies, _, err := o.ACL().PolicyList(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, policy := range policies {
		if strings.HasPrefix(policy.Description, "Gatehouse: ") {
			named[policy.Name] = true
		}
	}
	if !maps.Equal(bound, want) || len(rules) != len(want) {
		t.Errorf("%d rules bind to %v, want %v", len(rules), bound, want)
	}
	if !maps.Equal(named, want) {
		t.Errorf("the policies are %v, want %v", named, want)
	}
}
