package grpcserver

import (
	"net/http"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/internal/rest"
)

// FuzzHeaders: no name that a reader could take for a reserved one is on the list of what arrives.
func FuzzHeaders(f *testing.F) {
	for _, seed := range []string{"X-User-Id", "x_user_id", "Grpc-Metadata-A", "Accept", "Forwarded", "X-Forwarded-For", "X-Request-Id"} {
		f.Add(seed)
	}
	known := map[string]bool{}
	for _, name := range form().Headers {
		known[name] = true
	}
	f.Fuzz(func(t *testing.T, name string) {
		canonical := http.CanonicalHeaderKey(name)
		if known[canonical] && rest.Reserved(canonical) {
			t.Errorf("%q is both accepted and reserved", canonical)
		}
		if rest.Reserved(name) != rest.Reserved(canonical) || rest.Reserved(name) != rest.Reserved(strings.ReplaceAll(name, "-", "_")) {
			t.Errorf("%q is reserved in one spelling only", name)
		}
	})
}
