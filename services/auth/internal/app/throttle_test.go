package app

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/internal/testkit/apptest"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/services/auth/internal/throttle"
)

// Failures at one instance count at the other, and at one that is started anew: as the programs are
// wired, with the key of the counters that follows from the sealing key (R7).
func TestFailuresAreSharedAndSurviveARestart(t *testing.T) {
	db, key := database(t), keyFile(t, 1)
	one, two := apptest.FreePorts(t, Name), apptest.FreePorts(t, Name)
	stop := start(t, configured(t, one, db, key))
	defer start(t, configured(t, two, db, key))()
	fail(t, one, throttle.FreeFailures/2)
	fail(t, two, throttle.FreeFailures/2)
	throttled(t, one, 0)
	throttled(t, two, 0)
	stop()
	stop = start(t, configured(t, one, db, key))
	defer func() { stop() }()
	fail(t, one, 1)
	fail(t, two, 2)
	throttled(t, one, 1)
	throttled(t, two, 2)
}

// fail signs in some times with a wrong password.
func fail(t *testing.T, ports apptest.Ports, times int) {
	t.Helper()
	serving(t, ports)
	conn := apptest.Dial(t, ports.GRPC)
	defer func() { check.NoError(t, conn.Close()) }()
	for range times {
		_, err := authv1.NewAuthServiceClient(conn).SignIn(apptest.As(t.Context(), "gateway"), &authv1.SignInRequest{Email: "ada@example.com", Password: "wrong horse battery staple"})
		if status.Code(err) != codes.Unauthenticated {
			t.Fatal(err)
		}
	}
}

// throttled wants so many attempts to have waited at an instance since its start.
func throttled(t *testing.T, ports apptest.Ports, want int) {
	t.Helper()
	metrics := apptest.Get(t, ports.Ops, "/metrics", http.StatusOK)
	if line := fmt.Sprintf("gatehouse_auth_throttled_total{by=\"counter\"} %d\n", want); want == 0 && strings.Contains(metrics, "gatehouse_auth_throttled_total{by=") || want > 0 && !strings.Contains(metrics, line) {
		t.Errorf("want %d throttled attempts:\n%s", want, metrics)
	}
}
