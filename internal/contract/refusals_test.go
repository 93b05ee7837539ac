package contract_test

import (
	"slices"
	"strconv"
	"testing"

	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
	_ "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/contracts"
)

// What a method is refused for follows from its access, its noun and its fields, and what it states
// is looked up where it is stated: by itself, by the kernel, or by a program that it calls.
func TestRefusals(t *testing.T) {
	c := meshtest.Contract(t)
	for name, want := range map[string][]string{
		"/gatehouse.auth.v1.AuthService/Refresh": {"400 INVALID_ARGUMENT", "401 INVALID_REFRESH_TOKEN"},
		"/gatehouse.identity.v1.UserService/DeleteUser": {
			"400 INVALID_ARGUMENT", "400 INVALID_CONSISTENCY_TOKEN", "400 LAST_ADMINISTRATOR", "400 LAST_OWNER", "400 RELATIONSHIPS_TOO_DEEP",
			"401 FRESH_SIGN_IN_REQUIRED", "401 INVALID_TOKEN", "401 TOKEN_EXPIRED", "401 TOKEN_REQUIRED", "401 TOKEN_REVOKED", "404 USER_NOT_FOUND", "412 ETAG_MISMATCH",
			"503 AUTH_UNAVAILABLE", "503 CONCURRENT_CHANGE", "503 NOT_FRESH_ENOUGH",
		},
		"/gatehouse.identity.v1.UserService/WatchUsers": {
			"400 CURSOR_EXPIRED", "400 INVALID_ARGUMENT", "400 INVALID_CONSISTENCY_TOKEN",
			"401 INVALID_TOKEN", "401 TOKEN_EXPIRED", "401 TOKEN_REQUIRED", "401 TOKEN_REVOKED", "403 PERMISSION_DENIED", "404 ORGANIZATION_NOT_FOUND",
			"503 NOT_FRESH_ENOUGH",
		},
		"/gatehouse.auth.v1.SessionService/EndUserSessions": {
			"400 INVALID_ARGUMENT", "400 INVALID_CONSISTENCY_TOKEN", "401 FRESH_SIGN_IN_REQUIRED", "401 INVALID_TOKEN", "401 TOKEN_EXPIRED", "401 TOKEN_REQUIRED",
			"401 TOKEN_REVOKED", "403 PERMISSION_DENIED", "503 NOT_FRESH_ENOUGH",
		},
		"/gatehouse.auth.v1.VerificationService/GetKeySet": nil,
	} {
		m, ok := c.Method(name)
		if !ok {
			t.Fatalf("there is no method %s", name)
		}
		if got := told(c.Refusals(m)); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func told(reasons []contract.Reason) []string {
	var all []string
	for _, r := range reasons {
		all = append(all, strconv.Itoa(r.Error().Status())+" "+r.Name)
	}
	return all
}
