package openid_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/contract"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
	"github.com/gatehouse/gatehouse/internal/token"
	"github.com/gatehouse/gatehouse/internal/web"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/services/auth/internal/openid"
)

const issuer = "https://id.example.com"

// keys are those of a test.
type keys struct {
	set []token.Key
	err error
}

func (k *keys) Set() ([]token.Key, time.Duration, error) { return k.set, 5 * time.Minute, k.err }

// serve serves the provider at a door.
func serve(t *testing.T, known *keys) (door string) {
	t.Helper()
	contracts := meshtest.Contract(t)
	public, err := url.Parse(issuer)
	if err != nil {
		t.Fatal(err)
	}
	desc, err := web.Service(&authv1.OpenIDService_ServiceDesc, contracts, public,
		openid.New(openid.Params{Issuer: issuer, Contract: contracts, Keys: known}).Handlers())
	if err != nil {
		t.Fatal(err)
	}
	s := grpctest.New(t, grpctest.Config{Program: "auth", Callers: grpctest.Consenting(t), Registrations: []grpcserver.Registration{{Desc: desc, Impl: struct{}{}}}})
	door, _ = s.Door()
	return door
}

func get(t *testing.T, address string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

// R34: both documents say the same, and nothing that is not there.
func TestMetadata(t *testing.T) {
	door := serve(t, &keys{})
	response, body := get(t, door+"/.well-known/openid-configuration")
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "application/json" || response.Header.Get("Cache-Control") != "public, max-age=300" {
		t.Fatalf("%d %v %s", response.StatusCode, response.Header, body)
	}
	if _, other := get(t, door+"/.well-known/oauth-authorization-server"); other != body {
		t.Errorf("the documents disagree:\n%s\n%s", body, other)
	}
	var said map[string]any
	if err := json.Unmarshal([]byte(body), &said); err != nil {
		t.Fatal(err)
	}
	if said["issuer"] != issuer || said["jwks_uri"] != issuer+"/oauth2/jwks" {
		t.Errorf("%v", said)
	}
	for _, member := range []string{"response_types_supported", "subject_types_supported", "id_token_signing_alg_values_supported"} { // required
		if _, ok := said[member].([]any); !ok {
			t.Errorf("%s is %v", member, said[member])
		}
	}
	contracts := meshtest.Contract(t)
	for member, value := range said {
		address, isURL := value.(string)
		if !isURL || member == "issuer" {
			continue
		}
		path := strings.TrimPrefix(address, issuer)
		if !slices.ContainsFunc(contracts.Methods(), func(m *contract.Method) bool { return m.Route != nil && m.Route.Path == path }) {
			t.Errorf("%s is %s, where nothing is", member, address)
		}
	}
	_, authorizes := contracts.Method("/" + authv1.OpenIDService_ServiceDesc.ServiceName + "/Authorize")
	challenges, _ := said["code_challenge_methods_supported"].([]any)
	if said["authorization_response_iss_parameter_supported"] != authorizes || authorizes != slices.Equal(challenges, []any{"S256"}) {
		t.Errorf("with an authorization endpoint (%v) it says %s", authorizes, body)
	}
}

// The key set is what the keeper has, and 503 in OAuth's words while it has none.
func TestKeySet(t *testing.T) {
	known := &keys{}
	key := grpctest.NewTokens(t, time.Now).Key.Public()
	known.set = []token.Key{key}
	door := serve(t, known)
	response, body := get(t, door+"/oauth2/jwks")
	var set struct{ Keys []token.JWK }
	if err := json.Unmarshal([]byte(body), &set); err != nil || len(set.Keys) != 1 || set.Keys[0].KID != key.ID {
		t.Errorf("%s: %v", body, err)
	}
	if response.Header.Get("Content-Type") != "application/jwk-set+json" || response.Header.Get("Cache-Control") != "public, max-age=300" {
		t.Errorf("%v", response.Header)
	}
	known.err = apierr.KeysUnavailable()
	if response, body := get(t, door+"/oauth2/jwks"); response.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, `"temporarily_unavailable"`) {
		t.Errorf("%d %s", response.StatusCode, body)
	}
}
