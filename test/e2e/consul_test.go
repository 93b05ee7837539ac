package e2e_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/internal/testkit/platform"
)

// consul is a client with the management token of the platform.
func consul(t testing.TB) *api.Client {
	t.Helper()
	return consulOf(t, platformStatus(t))
}

// consulOf asks the Consul of any platform.
func consulOf(t testing.TB, s platform.Status) *api.Client {
	t.Helper()
	token, err := os.ReadFile(s.Consul.TokenFile)
	if err != nil {
		t.Fatalf("read Consul's token: %v", err)
	}
	info, err := os.Stat(s.Consul.TokenFile)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("token file: %v, %v, want mode 0600", info.Mode(), err)
	}
	client, err := api.NewClient(&api.Config{
		Address: s.Consul.Address, Scheme: "https", Token: strings.TrimSpace(string(token)),
		TLSConfig: api.TLSConfig{CAFile: s.Consul.CAFile, CertFile: s.Consul.CertFile, KeyFile: s.Consul.KeyFile},
	})
	if err != nil {
		t.Fatalf("connect to Consul: %v", err)
	}
	return client
}

// checkState is the worst state of a service's checks in Consul, or an error when there is none.
func checkState(client *api.Client, name string) (string, error) {
	checks, _, err := client.Health().Checks(name, nil)
	if err != nil {
		return "", err
	}
	if len(checks) == 0 {
		return "", fmt.Errorf("%s has no check", name)
	}
	return checks.AggregatedStatus(), nil
}

func wantCheck(client *api.Client, name, want string) error {
	got, err := checkState(client, name)
	if err == nil && got != want {
		err = fmt.Errorf("%s is %s, want %s", name, got, want)
	}
	return err
}

// intentionsOf returns the allow-list of a callee as it is written in Consul.
func intentionsOf(t testing.TB, client *api.Client, callee string) *api.ServiceIntentionsConfigEntry {
	t.Helper()
	entry, _, err := client.ConfigEntries().Get(api.ServiceIntentions, callee, nil)
	if err != nil {
		t.Fatalf("read the intentions of %s: %v", callee, err)
	}
	return entry.(*api.ServiceIntentionsConfigEntry)
}

// withIntentions writes a changed allow-list and returns the function that puts the old one back.
func withIntentions(t testing.TB, client *api.Client, callee string, change func(*api.ServiceIntentionsConfigEntry)) (restore func()) {
	t.Helper()
	before := intentionsOf(t, client, callee)
	changed := intentionsOf(t, client, callee)
	change(changed)
	set := func(e *api.ServiceIntentionsConfigEntry) error {
		ok, _, err := client.ConfigEntries().Set(e, nil)
		if err == nil && !ok {
			err = errors.New("Consul refused the entry")
		}
		return err
	}
	if err := set(changed); err != nil {
		t.Fatalf("change the intentions of %s: %v", callee, err)
	}
	return func() {
		if err := set(before); err != nil {
			t.Errorf("restore the intentions of %s: %v", callee, err)
		}
	}
}
