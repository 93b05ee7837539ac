package app_test

import (
	"testing"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// R27: the web origins of clients are followed: a change shows within seconds, and those that were
// told last stay while Auth is away.
func TestOriginsOfClientsAreFollowed(t *testing.T) {
	const client, admin = "https://orders.example.com", "https://admin.example.com"
	r := start(t, map[string]string{"GATEHOUSE_GATEWAY_CORS_ORIGINS": page})
	may := func(origin, path string) bool {
		a := r.do(request{path: path, header: map[string]string{"Origin": origin}})
		return a.header.Get("Access-Control-Allow-Origin") == origin
	}
	const keys, api = "/.well-known/jwks.json", "/api/v1/me"
	if may(client, keys) || may(client, api) || !may(page, keys) || !may(page, api) {
		t.Fatal("before a client is known, others than the configured pages may read, or those may not")
	}
	r.Auth.SetWebOrigins(&authv1.WebOrigin{Origin: admin, PlatformApi: true}, &authv1.WebOrigin{Origin: client})
	check.Eventually(t, "a new client's pages to read", func() bool { return may(client, keys) })
	if may(client, api) || !may(admin, api) || !may(admin, keys) || !may(page, keys) {
		t.Error("the platform's API is not for the pages of clients that have it alone")
	}
	r.StopAuth()
	if !may(client, keys) {
		t.Error("pages may not read while Auth is away")
	}
	r.StartAuth()
	r.Auth.SetWebOrigins()
	check.Eventually(t, "a gone client's pages not to read", func() bool { return !may(client, keys) && !may(admin, api) })
	if !may(page, keys) || !may(page, api) {
		t.Error("the configured pages may not read any more")
	}
}
