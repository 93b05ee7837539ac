package grpcserver_test

import (
	"testing"
	"testing/synctest"

	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
)

const (
	serving    = healthpb.HealthCheckResponse_SERVING
	notServing = healthpb.HealthCheckResponse_NOT_SERVING
	unknown    = healthpb.HealthCheckResponse_SERVICE_UNKNOWN
)

// The health service answers from the program's health: at once, for all, and at every change until
// the drain.
func TestHealthService(t *testing.T) {
	d := newDemo(t)
	synctest.Test(t, func(t *testing.T) {
		s := start(t, d, grpctest.Config{})
		client := healthpb.NewHealthClient(s.Dial())
		type stream = interface {
			Recv() (*healthpb.HealthCheckResponse, error)
		}
		watches := map[string]stream{}
		for _, service := range []string{"", demoService} {
			w, err := client.Watch(t.Context(), &healthpb.HealthCheckRequest{Service: service})
			if err != nil {
				t.Fatal(err)
			}
			watches[service] = w
		}
		// told wants that watches are told, and that the other questions have the same answer.
		told := func(when string, want map[string]healthpb.HealthCheckResponse_ServingStatus) {
			t.Helper()
			for service, w := range watches {
				if m, err := w.Recv(); err != nil || m.GetStatus() != want[service] {
					t.Errorf("%s: the watch of %q is told %v, %v, want %v", when, service, m, err, want[service])
				}
				m, err := client.Check(t.Context(), &healthpb.HealthCheckRequest{Service: service})
				if want[service] == unknown {
					if status.Code(err) != codes.NotFound {
						t.Errorf("%s: the check of %q answers %v, %v", when, service, m, err)
					}
				} else if err != nil || m.GetStatus() != want[service] {
					t.Errorf("%s: the check of %q answers %v, %v, want %v", when, service, m, err, want[service])
				}
			}
			all, err := client.List(t.Context(), &healthpb.HealthListRequest{})
			if err != nil {
				t.Fatal(err)
			}
			for service, w := range want {
				if m, known := all.GetStatuses()[service]; known != (w != unknown) || known && m.GetStatus() != w {
					t.Errorf("%s: the list says %v of %q, want %v", when, m, service, w)
				}
			}
		}
		told("before the first round", map[string]healthpb.HealthCheckResponse_ServingStatus{"": notServing, demoService: unknown})

		s.Health.Serves(demoService)
		delete(watches, "") // hears nothing that is new to it
		told("a service appears", map[string]healthpb.HealthCheckResponse_ServingStatus{"": notServing, demoService: notServing})

		go s.Health.Run(t.Context())
		told("ready", map[string]healthpb.HealthCheckResponse_ServingStatus{"": serving, demoService: serving})

		s.Health.Drain()
		told("draining", map[string]healthpb.HealthCheckResponse_ServingStatus{"": notServing, demoService: notServing})
		if err := s.Drain(t.Context()); err != nil {
			t.Error(err)
		}
		_, err := watches[demoService].Recv()
		expect(t, err, codes.Unavailable, "SHUTTING_DOWN")
	})
}
