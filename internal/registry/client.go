package registry

import (
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/internal/config"
)

// NewClient makes a client of the agent's API at the address (see Config.Agent) from the
// configuration; CONSUL_HTTP_TOKEN and its like do not count.
func NewClient(address string, c Config) (*api.Client, error) {
	transport := &http.Transport{MaxIdleConnsPerHost: 1, IdleConnTimeout: 30 * time.Second}
	scheme := "http"
	if c.CA != "" {
		scheme = "https"
		var err error
		transport.TLSClientConfig, err = api.SetupTLSConfig(&api.TLSConfig{CAFile: c.CA, CertFile: c.Cert, KeyFile: c.Key})
		if err != nil {
			return nil, fmt.Errorf("read the certificates for Consul's API: %w", err)
		}
	}
	client, err := api.NewClient(&api.Config{
		Address: address, Scheme: scheme, TokenFile: os.DevNull, // or that of CONSUL_HTTP_TOKEN_FILE would have to exist
		HttpClient: &http.Client{Transport: &tokenTransport{token: c.Token, next: transport}},
	})
	if err != nil {
		return nil, fmt.Errorf("make consul client: %w", err)
	}
	return client, nil
}

// tokenTransport sends the configured ACL token or none. The library itself would prefer what
// CONSUL_HTTP_TOKEN_FILE names.
type tokenTransport struct {
	token config.Secret
	next  http.RoundTripper
}

// RoundTrip sends the request with the token.
func (t *tokenTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Del("X-Consul-Token")
	if !t.token.IsZero() {
		r.Header.Set("X-Consul-Token", t.token.Reveal())
	}
	return t.next.RoundTrip(r)
}
