package httpserver

import (
	"encoding/json"
	"net"
	"net/http"
	"net/netip"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/health"
)

// Health is what the ops handler asks about the program; *health.Health is one. Both methods answer from what is known already.
type Health interface {
	Ready() bool
	Results() []health.Result
}

// check is one line of /readyz.
type check struct {
	Name    string `json:"name"`
	OK      bool   `json:"ok"`
	Message string `json:"message,omitempty"`
}

// Ops answers /livez, /readyz, /metrics and /version, for a listener on loopback. /livez says that the process answers; /readyz says
// whether it can do its work, and which check says no. More is what the program tells besides.
func Ops(health Health, registry prometheus.Gatherer, version string, more ...Route) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", Livez)
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { readyz(w, health) })
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"version": version})
	})
	for _, r := range more {
		mux.Handle(r.Pattern, local(r.Handler))
	}
	return LimitURI(mux)
}

// Route is something that one program tells on its ops listener, to every local process.
type Route struct {
	Pattern string
	Handler http.Handler
}

// local refuses who calls this host by a name of their own: a page whose name leads to loopback
// since it was loaded (DNS rebinding) would read the answer.
func local(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if address, parsed := netip.ParseAddr(host); err != nil || host != "localhost" && (parsed != nil || !address.IsLoopback()) {
			http.Error(w, "this is for localhost alone", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Livez says that the process answers.
func Livez(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "alive"})
}

// Readyz says whether the program can do its work and no more, for the public listener.
func Readyz(h Health) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !h.Ready() {
			WriteProblem(w, r, apierr.NotReady())
			return
		}
		writeJSON(w, http.StatusOK, map[string]string{"status": "ready"})
	})
}

func readyz(w http.ResponseWriter, h Health) {
	body := struct {
		Status string  `json:"status"`
		Checks []check `json:"checks"`
	}{Status: "ready", Checks: []check{}}
	status := http.StatusOK
	if !h.Ready() {
		body.Status, status = "not ready", http.StatusServiceUnavailable
	}
	for _, r := range h.Results() {
		body.Checks = append(body.Checks, check{Name: r.Name, OK: r.OK, Message: r.Message})
	}
	writeJSON(w, status, body)
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client is gone when this is refused
}
