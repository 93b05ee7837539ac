// Package conformance says what the public services answer, as cases that run twice: against the
// real handlers over a real database (services/<svc>/internal/api), and against the stand-ins of
// the gateway's tests (gateway/internal/gatewaytest), which may not import a service. What a
// stand-in answers otherwise fails there, and so does a service that changes alone.
//
// Only tests import it.
package conformance

import (
	"slices"
	"testing"

	"google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/rpcstatus"
)

// refused ends the test unless err has the kind and the reason, and names exactly these violations,
// each a field's path and rule with a space in between.
func refused(t testing.TB, err error, kind apierr.Kind, reason string, violations ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("got no error, want %s", reason)
	}
	e := rpcstatus.ToError(status.Convert(err))
	if e.Kind != kind || e.Reason != reason {
		t.Fatalf("got %v %s (%s), want %v %s", e.Kind, e.Reason, e.Message, kind, reason)
	}
	var named []string
	for _, f := range e.Fields {
		named = append(named, f.Path+" "+f.Rule)
	}
	if !slices.Equal(named, violations) {
		t.Fatalf("violations of %q, want %q", named, violations)
	}
}
