package platform

import (
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/gatehouse/gatehouse/internal/plan"
)

// A program is healthy when it says so itself, where and how the plan says; anything else is waited
// for.
func TestHealthIsAskedAsThePlanSays(t *testing.T) {
	p := testPlatform(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	state := health.NewServer()
	server := grpc.NewServer()
	healthpb.RegisterHealthServer(server, state)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	var code atomic.Int32
	ops := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			t.Errorf("asked for %s", r.URL.Path)
		}
		w.WriteHeader(int(code.Load()))
	}))
	t.Cleanup(ops.Close)
	port := func(a net.Addr) int { return a.(*net.TCPAddr).Port - p.opts.Offset }
	units := []unit{
		{id: "shop", health: plan.Health{Port: port(listener.Addr())}},
		{id: "door", health: plan.Health{Port: port(ops.Listener.Addr()), Path: "/readyz"}},
	}
	for _, serving := range []bool{true, false} {
		code.Store(http.StatusOK)
		state.SetServingStatus("", healthpb.HealthCheckResponse_SERVING)
		if !serving {
			code.Store(http.StatusServiceUnavailable)
			state.SetServingStatus("", healthpb.HealthCheckResponse_NOT_SERVING)
		}
		for _, u := range units {
			if err := p.healthy(t.Context(), u); (err == nil) != serving {
				t.Errorf("%s, serving %v: %v", u.id, serving, err)
			}
		}
	}
	server.Stop()
	ops.Close()
	for _, u := range append(units, unit{id: "nobody"}) {
		if err := p.healthy(t.Context(), u); err == nil {
			t.Errorf("%s is gone and healthy", u.id)
		}
	}
}
