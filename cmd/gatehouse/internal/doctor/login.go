package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/internal/registry"
)

// authMethod looks at the method by which Nomad's workloads log in to Consul (R83).
func authMethod(ctx context.Context, site *Site) ([]Finding, error) {
	method, err := site.method(ctx)
	if err != nil {
		return nil, err
	}
	if method == nil {
		return []Finding{{
			Level: Warning, What: fmt.Sprintf("Consul has no auth method %s", site.AuthMethod), Why: "no workload of Nomad gets a token, Gatehouse's neither",
			Fix: "make it with `nomad setup consul`, or have it made with own_cluster = true in Terraform, or name yours with --auth-method",
		}}, nil
	}
	of := "the auth method " + method.Name
	if method.Type != "jwt" {
		return []Finding{{
			Level: Danger, What: fmt.Sprintf("%s is of the type %s", of, method.Type), Why: "Nomad's workloads have JWTs", Fix: "name the one of Nomad's workloads with --auth-method",
		}}, nil
	}
	var found []Finding
	add := func(wrong bool, what, why, fix string) {
		if wrong {
			found = append(found, Finding{Level: Danger, What: of + " " + what, Why: why, Fix: fix})
		}
	}
	mappings, _ := method.Config["ClaimMappings"].(map[string]any)
	for _, claim := range []string{"nomad_namespace", "nomad_job_id", "nomad_service"} {
		add(mappings[claim] != claim, "does not map the claim "+claim, "the rules that give Gatehouse's services to Gatehouse's jobs alone read it, and nobody would get them",
			fmt.Sprintf("add %q = %q to the ClaimMappings of its configuration", claim, claim))
	}
	add(!slices.Contains(texts(method.Config["BoundAudiences"]), "consul.io"), "does not ask for the audience consul.io",
		"the identities that Nomad gives services are for that one: others are taken, or none", `set BoundAudiences = ["consul.io"] in its configuration`)
	algorithms := texts(method.Config["JWTSupportedAlgs"])
	add(len(algorithms) > 0 && !slices.Contains(algorithms, "RS256"), fmt.Sprintf("takes %s alone", strings.Join(algorithms, ", ")), "Nomad signs with RS256: nobody can log in",
		`set JWTSupportedAlgs = ["RS256"] in its configuration`)
	add(method.MaxTokenTTL > 0, fmt.Sprintf("has MaxTokenTTL %s", method.MaxTokenTTL), "a sidecar keeps the token that it began with: after that time each of them loses its configuration and certificates",
		"consul acl auth-method update -name "+method.Name+" -max-token-ttl 0s, with the rest of its configuration")
	return found, nil
}

// method is nil where Consul has none of that name.
func (s *Site) method(ctx context.Context) (*api.ACLAuthMethod, error) {
	method, _, err := s.Consul.ACL().AuthMethodRead(s.AuthMethod, asked(ctx))
	if status := (api.StatusError{}); errors.As(err, &status) && status.Code == http.StatusNotFound {
		return nil, nil //nolint:nilnil // documented
	}
	if err != nil {
		return nil, fmt.Errorf("read Consul's auth method %s: %w", s.AuthMethod, err)
	}
	return method, nil
}

// texts are those of a list in an auth method's configuration.
func texts(value any) []string {
	var all []string
	list, _ := value.([]any)
	for _, one := range list {
		if text, ok := one.(string); ok {
			all = append(all, text)
		}
	}
	return all
}

// keysWithin is how long Nomad has to give out its keys.
const keysWithin = 5 * time.Second

// authMethodKeys asks for Nomad's keys as Consul's servers do: with that authority, and without a
// certificate.
func authMethodKeys(ctx context.Context, site *Site) ([]Finding, error) {
	method, err := site.method(ctx)
	if err != nil || method == nil {
		return nil, err
	}
	url, _ := method.Config["JWKSURL"].(string)
	if url == "" {
		return nil, nil // it has the keys themselves
	}
	ca, _ := method.Config["JWKSCACert"].(string)
	if err := readKeys(ctx, url, ca); err != nil {
		return []Finding{{
			Level: Danger, What: fmt.Sprintf("Nomad's keys are not to be had at %s, as the auth method %s asks for them: %v", url, method.Name, err),
			Why: "Consul cannot tell who logs in: no service that starts gets a token",
			Fix: "set JWKSURL and JWKSCACert to what Consul's servers reach without a certificate (tls { verify_https_client = false } on Nomad's servers), if it is the same seen from them",
		}}, nil
	}
	return nil, nil
}

func readKeys(ctx context.Context, url, ca string) error {
	ctx, cancel := context.WithTimeout(ctx, keysWithin)
	defer cancel()
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}
	if ca != "" {
		transport.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !transport.TLSClientConfig.RootCAs.AppendCertsFromPEM([]byte(ca)) {
			return errors.New("JWKSCACert is no certificate")
		}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	var keys struct{ Keys []json.RawMessage }
	if err := json.NewDecoder(io.LimitReader(response.Body, 1<<20)).Decode(&keys); err != nil || len(keys.Keys) == 0 {
		return errors.New("the answer has no keys")
	}
	return nil
}

// aclNames looks for policies of others under our names.
func aclNames(ctx context.Context, site *Site) ([]Finding, error) {
	list, err := site.policies(ctx)
	if err != nil {
		return nil, err
	}
	var found []Finding
	for program, service := range site.services() {
		want := registry.ServicePolicy(site.Definition, program, site.Prefix)
		for _, policy := range list {
			if policy.Name == want.Name && policy.Description != want.Description {
				found = append(found, Finding{
					Level: Danger, What: fmt.Sprintf("Consul has a policy %s that is not Gatehouse's (its description does not say so)", service),
					Why: "an apply stops at it", Fix: site.otherPrefix("rename that policy"),
				})
			}
		}
	}
	return found, nil
}
