package contract_test

import (
	"testing"

	"github.com/gatehouse/gatehouse/internal/contract"
)

// What a name gives beside the program: a schema and a role, log files, variables that begin with
// it.
func TestReserved(t *testing.T) {
	for name, want := range map[string]bool{
		"consul": true, "postgres": true, "mesh": true, "token": true, "rest": true,
		"public": true, "none": true, // PostgreSQL's
		"postgres-max": true, "telemetry-otlp": true, // of GATEHOUSE_POSTGRES_MAX_CONNS and GATEHOUSE_TELEMETRY_OTLP_ENDPOINT
		"up": true, "auth-migrate": true, "auth-sidecar": true, // processes, with logs of these names
		"billing": false, "corner-shop": false, "migrate": false, "upload": false, "logistics": false, "auth-token": false,
	} {
		if got := contract.Reserved(name); got != want {
			t.Errorf("%s: %t, want %t", name, got, want)
		}
	}
}
