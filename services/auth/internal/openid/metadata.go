package openid

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse/gatehouse/internal/contract"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/services/auth/internal/client"
	"github.com/gatehouse/gatehouse/services/auth/internal/signingkey"
)

// metadataAge is how long clients may keep what the provider says of itself.
const metadataAge = 5 * time.Minute

// offer is what the provider can do. It is announced once there is a method for it.
type offer struct {
	Scopes        []string // scopes_supported
	Claims        []string // claims_supported: of ID tokens and userinfo
	ResponseTypes []string // response_types_supported
	GrantTypes    []string // grant_types_supported
	Prompts       []string // prompt_values_supported
	ClientAuth    []string // of clients at token, revocation and introspection endpoint
	Algorithms    []string // id_token_signing_alg_values_supported
}

// offered is the one list of what this version can do.
func offered() offer {
	return offer{
		Scopes: []string{client.ScopeOpenID, client.ScopeProfile, client.ScopeEmail, client.ScopeRoles, client.ScopeOfflineAccess},
		Claims: []string{
			"iss", "sub", "aud", "exp", "iat", "auth_time", "amr", "nonce", "at_hash", "org", "updated_at", "email", "email_verified", "roles",
		},
		ResponseTypes: []string{"code"}, // R32
		GrantTypes:    []string{"authorization_code", "refresh_token"},
		Prompts:       []string{"none", "login", "select_account", "consent"},
		ClientAuth:    []string{"client_secret_basic", "client_secret_post", "none"},
		Algorithms:    signingkey.IDAlgorithms(),
	}
}

// metadata is what the provider says of itself (RFC 8414, section 2; OpenID Connect Discovery 1.0,
// section 3). One document serves both: they agree (R34).
type metadata struct {
	Issuer        string `json:"issuer"`
	Authorization string `json:"authorization_endpoint,omitempty"`
	Token         string `json:"token_endpoint,omitempty"`
	Userinfo      string `json:"userinfo_endpoint,omitempty"`
	Introspection string `json:"introspection_endpoint,omitempty"`
	Revocation    string `json:"revocation_endpoint,omitempty"`
	EndSession    string `json:"end_session_endpoint,omitempty"`
	KeySet        string `json:"jwks_uri"`

	Scopes            []string `json:"scopes_supported,omitempty"`
	Claims            []string `json:"claims_supported,omitempty"`
	ResponseTypes     []string `json:"response_types_supported"`
	ResponseModes     []string `json:"response_modes_supported,omitempty"`
	GrantTypes        []string `json:"grant_types_supported,omitempty"`
	Prompts           []string `json:"prompt_values_supported,omitempty"`
	SubjectTypes      []string `json:"subject_types_supported"`
	Algorithms        []string `json:"id_token_signing_alg_values_supported"`
	TokenAuth         []string `json:"token_endpoint_auth_methods_supported,omitempty"`
	RevocationAuth    []string `json:"revocation_endpoint_auth_methods_supported,omitempty"`
	IntrospectionAuth []string `json:"introspection_endpoint_auth_methods_supported,omitempty"`
	Challenges        []string `json:"code_challenge_methods_supported,omitempty"`

	NamesIssuer bool `json:"authorization_response_iss_parameter_supported"`
	ClaimsParam bool `json:"claims_parameter_supported"`
	RequestURI  bool `json:"request_uri_parameter_supported"` // true when it is left out
	Request     bool `json:"request_parameter_supported"`
}

// metadataOf announces the endpoints that the contract has, and of what is offered that which can
// be used at them.
func metadataOf(issuer string, c *contract.Contract, can offer) metadata {
	at := func(method string) string {
		m, ok := c.Method("/" + authv1.OpenIDService_ServiceDesc.ServiceName + "/" + method)
		if !ok || m.Route == nil {
			return ""
		}
		return strings.TrimSuffix(issuer, "/") + m.Route.Path
	}
	m := metadata{
		Issuer:        issuer,
		Authorization: at("Authorize"), Token: at("Token"), Userinfo: at("Userinfo"), Introspection: at("Introspect"),
		Revocation: at("Revoke"), EndSession: at("EndSession"), KeySet: at("KeySet"),
		Scopes: can.Scopes, Claims: can.Claims, ResponseTypes: can.ResponseTypes, GrantTypes: can.GrantTypes, Prompts: can.Prompts,
		SubjectTypes: []string{"public"}, Algorithms: can.Algorithms,
	}
	if m.Token != "" {
		m.TokenAuth = can.ClientAuth
	}
	if m.Revocation != "" {
		m.RevocationAuth = can.ClientAuth
	}
	if m.Introspection != "" {
		m.IntrospectionAuth = slices.DeleteFunc(slices.Clone(can.ClientAuth), func(method string) bool { return method == "none" })
	}
	if m.Authorization != "" {
		m.ResponseModes = []string{"query"}
		m.Challenges = []string{"S256"} // R30
		m.NamesIssuer = true            // RFC 9207
	}
	return m
}

// document answers a fixed JSON document.
func document(of any, age time.Duration) http.Handler {
	body, err := json.Marshal(of)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, r, "application/json", age, body, err)
	})
}

func cacheable(age time.Duration) string {
	return fmt.Sprintf("public, max-age=%d", int(age.Seconds()))
}
