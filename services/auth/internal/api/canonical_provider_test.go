package api_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/internal/outbox/outboxtest"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
	"github.com/gatehouse/gatehouse/internal/token"
	"github.com/gatehouse/gatehouse/internal/web"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	webv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/web/v1"
	"github.com/gatehouse/gatehouse/services/auth/internal/client"
	"github.com/gatehouse/gatehouse/services/auth/internal/openid"
	"github.com/gatehouse/gatehouse/services/auth/internal/pages"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
	"github.com/gatehouse/gatehouse/services/auth/internal/signingkey"
)

const (
	clientID      = "client-00000000-0000-4000-8000-000000000001"
	callback      = "https://app.example/callback"
	codeVerifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636, appendix B
	codeChallenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

// registerClient makes an OAuth client and the keys of its ID tokens.
func registerClient(t *testing.T, db *postgrestest.Database, sealer *signingkey.Sealer, random io.Reader, clock func() time.Time) *signingkey.IDTokens {
	t.Helper()
	check.NoError(t, db.Clients.Create(t.Context(), client.Client{
		ID: clientID, Name: "An application", Public: true, RedirectURIs: []string{callback}, Scopes: []string{"openid", "offline_access"},
		IDTokenAlgorithm: token.EdDSA, Revision: 1, CreateTime: clock(), UpdateTime: clock(),
	}, postgrestest.Event("client.created")))
	policy := signingkey.Policy{Purpose: signingkey.ForID, Algorithm: token.EdDSA, MaxAge: 5 * time.Minute, Interval: 24 * time.Hour, Keep: time.Hour}
	keeper := signingkey.NewKeeper(policy, db.IDTokenKeys[token.EdDSA], sealer, random, clock)
	check.NoError(t, keeper.Refresh(t.Context()))
	return signingkey.NewIDTokens(map[string]*signingkey.Keeper{token.EdDSA: keeper})
}

// provider is the OpenID provider, which decides about sessions as the other services do.
func (f *fixed) provider(
	t *testing.T, box *outbox.Outbox, sessions *session.Service, browsers *session.Browsers, page *pages.Pages, ids *signingkey.IDTokens,
) grpcserver.Registration {
	t.Helper()
	contracts, clock := meshtest.Contract(t), func() time.Time { return f.now }
	p := openid.New(openid.Params{
		Issuer: "https://id.example", Contract: contracts, Keys: ids, Clients: f.Clients, Browsers: browsers, Sessions: sessions,
		Store: postgres.NewCodes(f.Pool, box), People: postgres.NewPeople(f.Pool), Pages: page, Permissions: f.grants,
		Codes: openid.NewCodes(bytes.Repeat([]byte{1}, signingkey.SealingKeyLength), nil, nil), IDTokens: ids, Access: f.verifier,
		NewID: outboxtest.IDs(7), Now: clock, Log: slog.New(slog.DiscardHandler),
	})
	desc, err := web.Service(&authv1.OpenIDService_ServiceDesc, contracts, &url.URL{Scheme: "https", Host: "id.example"}, p.Handlers())
	check.NoError(t, err)
	return grpcserver.Registration{Desc: desc, Impl: struct{}{}}
}

// header is a header of a response.
func header(r *webv1.Response, name string) string {
	for _, h := range r.GetHeaders() {
		if h.GetName() == name {
			return string(h.GetValue())
		}
	}
	return ""
}

// member is a text of a JSON document.
func member(t *testing.T, document []byte, name string) string {
	t.Helper()
	var members map[string]any
	check.NoError(t, json.Unmarshal(document, &members))
	text, _ := members[name].(string)
	return text
}

// useProvider lets an application sign a person in who is signed in with a browser, use a code
// twice, revoke a token and sign out.
func (f *fixed) useProvider(t *testing.T, cookie string) {
	t.Helper()
	ctx := t.Context()
	as := func(requestID string) authv1.OpenIDServiceClient {
		return authv1.NewOpenIDServiceClient(f.Through("gateway", requestID))
	}
	browse := []*webv1.Header{{Name: "Cookie", Value: []byte(cookie)}}
	code := func() string {
		t.Helper()
		asked := url.Values{
			"client_id": {clientID}, "redirect_uri": {callback}, "response_type": {"code"}, "scope": {"openid offline_access"},
			"code_challenge": {codeChallenge}, "code_challenge_method": {"S256"},
		}
		response, err := as("authorize").Authorize(ctx, &authv1.AuthorizeRequest{Http: &webv1.Request{Query: asked.Encode(), Headers: browse}})
		check.NoError(t, err)
		to, err := url.Parse(header(response.GetHttp(), "Location"))
		check.NoError(t, err)
		return to.Query().Get("code")
	}
	exchange := func(requestID, code string, status int) []byte {
		t.Helper()
		response, err := as(requestID).Token(ctx, &authv1.TokenRequest{Http: form("", "grant_type", "authorization_code", "client_id", clientID,
			"code", code, "redirect_uri", callback, "code_verifier", codeVerifier)})
		check.NoError(t, err)
		if response.GetHttp().GetStatus() != uint32(status) {
			t.Fatalf("%s: %d %s", requestID, response.GetHttp().GetStatus(), response.GetHttp().GetBody())
		}
		return response.GetHttp().GetBody()
	}
	first := code()
	exchange("code", first, http.StatusOK)
	exchange("code-again", first, http.StatusBadRequest)
	told := exchange("code-of-another", code(), http.StatusOK)
	_, err := as("revoke").Revoke(ctx, &authv1.RevokeRequest{Http: form("", "client_id", clientID, "token", member(t, told, "refresh_token"))})
	check.NoError(t, err)
	out := url.Values{"id_token_hint": {member(t, told, "id_token")}}
	_, err = as("end-session").EndSession(ctx, &authv1.EndSessionRequest{Http: &webv1.Request{Query: out.Encode(), Headers: browse}})
	check.NoError(t, err)
}
