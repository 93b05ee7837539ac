// Package e2e_test drives a running platform through its public doors: the gateway, the operator's CLI, Consul's API and the sidecars.
//
// One platform is started for the whole package, with the test service of test/probe beside it. Tests run one after the other and leave
// it healthy.
package e2e_test

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/gatehouse/gatehouse/internal/testkit/platform"
)

// portOffset keeps the suite's platform apart from a developer's own.
const portOffset = 2000

// plat is the platform under test, started by TestMain.
var plat *platform.Platform

func TestMain(m *testing.M) {
	code, err := runWithPlatform(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

// elsewhere names the address of a platform that runs already, for those tests that need no more than
// its public door: test/cluster runs them against a cluster's.
const elsewhere = "GATEHOUSE_E2E_URL"

func runWithPlatform(m *testing.M) (code int, err error) {
	if url := os.Getenv(elsewhere); url != "" {
		plat = platform.At(url)
		return m.Run(), nil
	}
	plat, err = platform.New(platform.Options{
		Offset: portOffset, Race: true, Mesh: "test/probe/consul",
		Extra: []string{"./test/probe/cmd/probe", "./test/probe/cmd/prober"},
		// The suite is one busy client; the limits themselves are tested in the gateway.
		Env: []string{"GATEHOUSE_GATEWAY_RATE_PER_ADDRESS=2000", "GATEHOUSE_GATEWAY_BURST_PER_ADDRESS=4000",
			"GATEHOUSE_GATEWAY_RATE_PER_SUBJECT=2000", "GATEHOUSE_GATEWAY_BURST_PER_SUBJECT=4000",
			"GATEHOUSE_GATEWAY_RATE_CREDENTIALS=2000", "GATEHOUSE_GATEWAY_BURST_CREDENTIALS=4000",
			"GATEHOUSE_AUTH_FAILURE_BUDGET=100000", "GATEHOUSE_IDENTITY_PERSONAL_USERS=100000"},
	})
	if err != nil {
		return 1, err
	}
	defer func() {
		if code != 0 || err != nil {
			plat.PrintLogs(os.Stderr)
		}
		err = errors.Join(err, plat.Close())
	}()
	if err := plat.Up(); err != nil {
		return 1, err
	}
	code = m.Run()
	return code, plat.Races()
}

func platformStatus(t testing.TB) platform.Status {
	t.Helper()
	s, err := plat.Status()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func serviceOf(t testing.TB, name string) platform.Service {
	t.Helper()
	s, err := plat.Service(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
