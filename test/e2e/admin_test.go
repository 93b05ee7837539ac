package e2e_test

import (
	"io"
	"net/http"
	"testing"
)

// Every local user reaches the sidecars' admin ports: they tell how a sidecar does, never its token or key, and take no orders.
func TestSidecarAdminIsClosed(t *testing.T) {
	ask := func(method, address, path string) int {
		r, err := http.NewRequestWithContext(t.Context(), method, "http://"+address+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = a.Body.Close() }()
		_, _ = io.Copy(io.Discard, a.Body) // only the status counts
		return a.StatusCode
	}
	for _, s := range platformStatus(t).Services {
		for _, path := range []string{"/ready", "/server_info", "/stats", "/stats/prometheus", "/clusters", "/listeners", "/certs"} {
			if got := ask(http.MethodGet, s.Sidecar.Admin, path); got != http.StatusOK {
				t.Errorf("%s's sidecar: GET %s answers %d", s.Name, path, got)
			}
		}
		for _, path := range []string{"/config_dump", "/config_dump?resource=bootstrap", "/init_dump", "/runtime", "/help", "/"} {
			if got := ask(http.MethodGet, s.Sidecar.Admin, path); got != http.StatusForbidden {
				t.Errorf("%s's sidecar: GET %s answers %d, want 403", s.Name, path, got)
			}
		}
		for _, path := range []string{"/quitquitquit", "/drain_listeners", "/logging?level=trace", "/runtime_modify?a=b", "/healthcheck/fail", "/stats/recentlookups/clear"} {
			if got := ask(http.MethodPost, s.Sidecar.Admin, path); got != http.StatusForbidden {
				t.Errorf("%s's sidecar: POST %s answers %d, want 403", s.Name, path, got)
			}
		}
	}
}
