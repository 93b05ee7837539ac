package mesh

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/internal/config"
)

// lookEvery is how often the registrar looks whether the agent still knows the program: an agent that lost its state learns it again
// within this time.
const lookEvery = 2 * time.Second

// Registrar keeps one registration with the local Consul agent.
type Registrar struct {
	client       *api.Client
	registration *api.AgentServiceRegistration
	log          *slog.Logger
}

// NewClient makes a Consul client from the configuration; CONSUL_HTTP_TOKEN and its like do not count.
func NewClient(c Config) (*api.Client, error) {
	transport := &http.Transport{MaxIdleConnsPerHost: 1, IdleConnTimeout: 30 * time.Second}
	scheme := "http"
	if c.ConsulCA != "" {
		scheme = "https"
		var err error
		transport.TLSClientConfig, err = api.SetupTLSConfig(&api.TLSConfig{CAFile: c.ConsulCA, CertFile: c.ConsulCert, KeyFile: c.ConsulKey})
		if err != nil {
			return nil, fmt.Errorf("read the certificates for Consul's API: %w", err)
		}
	}
	client, err := api.NewClient(&api.Config{
		Address: c.Consul(), Scheme: scheme, TokenFile: os.DevNull, // or that of CONSUL_HTTP_TOKEN_FILE would have to exist
		HttpClient: &http.Client{Transport: &tokenTransport{token: c.ConsulToken, next: transport}},
	})
	if err != nil {
		return nil, fmt.Errorf("make consul client: %w", err)
	}
	return client, nil
}

// tokenTransport sends the configured ACL token or none. The library itself would prefer what CONSUL_HTTP_TOKEN_FILE names.
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

// NewRegistrar makes a registrar; Run does the work.
func NewRegistrar(client *api.Client, registration *api.AgentServiceRegistration, log *slog.Logger) *Registrar {
	return &Registrar{client: client, registration: registration, log: log}
}

// Run registers at once, and again whenever the agent has forgotten, until ctx ends. An agent that is down is waited for.
func (r *Registrar) Run(ctx context.Context) {
	known, failing := false, false
	for {
		err := r.step(ctx, known)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !failing:
			r.log.WarnContext(ctx, "registration with consul fails; trying again", "service", r.registration.ID, "error", err.Error())
		case err == nil && (failing || !known):
			r.log.InfoContext(ctx, "registered with consul", "service", r.registration.ID)
		}
		failing = err != nil
		known = known || err == nil
		wait := lookEvery
		if failing {
			wait = lookEvery / 4
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// step registers when it is the first time or the agent has forgotten. The first registration replaces what another version of the
// program may have left.
func (r *Registrar) step(ctx context.Context, known bool) error {
	ctx, cancel := context.WithTimeout(ctx, lookEvery)
	defer cancel()
	if known {
		there, err := r.registered(ctx)
		if err != nil || there {
			return err
		}
	}
	return r.Register(ctx)
}

// Register registers once.
func (r *Registrar) Register(ctx context.Context) error {
	options := api.ServiceRegisterOpts{ReplaceExistingChecks: true}.WithContext(ctx)
	if err := r.client.Agent().ServiceRegisterOpts(r.registration, options); err != nil {
		return fmt.Errorf("register %s: %w", r.registration.ID, err)
	}
	return nil
}

// registered asks the agent for the program and its sidecar.
func (r *Registrar) registered(ctx context.Context) (bool, error) {
	for _, id := range []string{r.registration.ID, SidecarID(r.registration.ID)} {
		options := (&api.QueryOptions{}).WithContext(ctx)
		if _, _, err := r.client.Agent().Service(id, options); err != nil {
			if status := (api.StatusError{}); errors.As(err, &status) && status.Code == http.StatusNotFound {
				return false, nil
			}
			return false, fmt.Errorf("look for %s: %w", id, err)
		}
	}
	return true, nil
}

// Deregister takes the program and its sidecar out of the catalog. A stopping program does not do it by itself: its health check says
// so already, and its sidecar must find its definition when both start again.
func (r *Registrar) Deregister(ctx context.Context) error {
	options := (&api.QueryOptions{}).WithContext(ctx)
	if err := r.client.Agent().ServiceDeregisterOpts(r.registration.ID, options); err != nil {
		return fmt.Errorf("deregister %s: %w", r.registration.ID, err)
	}
	return nil
}
