package api_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/services/auth/internal/client"
)

// administrator signs somebody in who may manage clients, and returns what that person calls.
func (a *auth) administrator() (clients authv1.ClientServiceClient, userID string) {
	a.t.Helper()
	userID = a.signUp()
	a.grants.Allow(userID, "can_manage_clients", "platform:gatehouse")
	clients = authv1.NewClientServiceClient(a.bearer(a.signIn().GetAccessToken()))
	a.before = len(a.Recorded(a.t))
	return clients, userID
}

func webApp() *authv1.CreateClientRequest {
	return &authv1.CreateClientRequest{
		Name: "Orders", RedirectUris: []string{"https://orders.example.com/callback", "http://localhost:3000/callback"},
		PostLogoutRedirectUris: []string{"https://orders.example.com/bye"}, WebOrigins: []string{"https://orders.example.com"},
		Audiences: []string{"https://api.example.com"},
	}
}

func registered(t *testing.T, clients authv1.ClientServiceClient, r *authv1.CreateClientRequest) *authv1.CreateClientResponse {
	t.Helper()
	resp, err := clients.CreateClient(t.Context(), r)
	check.NoError(t, err)
	return resp
}

// stored is the client as the provider reads it.
func (a *auth) storedClient(id string) client.Client {
	a.t.Helper()
	c, err := a.Clients.Get(a.t.Context(), id)
	check.NoError(a.t, err)
	return c
}

func TestAClientIsRegisteredAndRead(t *testing.T) {
	a := newAuth(t)
	clients, _ := a.administrator()
	resp := registered(t, clients, webApp())
	c := resp.GetClient()
	if !strings.HasPrefix(c.GetId(), "client-") || uuid.Validate(strings.TrimPrefix(c.GetId(), "client-")) != nil || len(resp.GetSecret()) != 43 {
		t.Errorf("the id is %s, the secret has %d characters", c.GetId(), len(resp.GetSecret()))
	}
	if want := []string{"openid", "profile", "email", "roles", "offline_access"}; !slices.Equal(c.GetScopes(), want) || c.GetPlatformApi() {
		t.Errorf("who names no scopes may ask for %v, and for the platform: %t", c.GetScopes(), c.GetPlatformApi())
	}
	if c.GetIdTokenAlgorithm() != "RS256" || !c.GetFirstParty() || c.GetPublic() || len(c.GetSecrets()) != 1 || c.GetEtag() == "" {
		t.Errorf("registered is %v", c)
	}
	got, err := clients.GetClient(t.Context(), &authv1.GetClientRequest{Id: c.GetId()})
	check.NoError(t, err)
	if got.GetClient().String() != c.String() {
		t.Errorf("read is\n%v, registered was\n%v", got.GetClient(), c)
	}
	s := a.storedClient(c.GetId())
	if !s.Authenticates(resp.GetSecret()) || !s.AllowsRedirect("http://localhost:9/callback") || !s.AllowsPostLogout("https://orders.example.com/bye") {
		t.Errorf("stored is %+v", s)
	}
	public := registered(t, clients, &authv1.CreateClientRequest{
		Name: "App", Public: true, RedirectUris: []string{"com.example.app:/cb"}, Scopes: []string{"email", "openid"}, PlatformApi: true, IdTokenAlgorithm: "EdDSA",
	})
	p := public.GetClient()
	if public.GetSecret() != "" || len(p.GetSecrets()) != 0 || !p.GetPublic() || !p.GetPlatformApi() || p.GetIdTokenAlgorithm() != "EdDSA" {
		t.Errorf("registered is %v with the secret %q", p, public.GetSecret())
	}
	if want := []string{"openid", "email", "gatehouse"}; !slices.Equal(a.storedClient(p.GetId()).Scopes, want) {
		t.Errorf("the stored scopes are %v", a.storedClient(p.GetId()).Scopes)
	}
	if strings.Contains(a.log.String(), resp.GetSecret()) { // R74
		t.Error("the log has the secret")
	}
	for _, e := range a.since(0) { // R74
		if text, _ := json.Marshal(e); strings.Contains(string(text), resp.GetSecret()) {
			t.Errorf("%s has the secret", e.Action)
		}
	}
}

// R28, R53: everything that is wrong is named, by its field.
func TestClientsThatCannotBeRegistered(t *testing.T) {
	a := newAuth(t)
	clients, _ := a.administrator()
	for name, c := range map[string]struct {
		change func(*authv1.CreateClientRequest)
		field  string
	}{
		"no name":           {func(r *authv1.CreateClientRequest) { r.Name = "" }, "name"},
		"blank name":        {func(r *authv1.CreateClientRequest) { r.Name = " " }, "name"},
		"control in name":   {func(r *authv1.CreateClientRequest) { r.Name = "a\x1b[31m" }, "name"},
		"redirect":          {func(r *authv1.CreateClientRequest) { r.RedirectUris[1] = "http://orders.example.com/callback" }, "redirect_uris[1]"},
		"native redirect":   {func(r *authv1.CreateClientRequest) { r.RedirectUris[0] = "com.example.app:/cb" }, "redirect_uris[0]"},
		"twice":             {func(r *authv1.CreateClientRequest) { r.RedirectUris[1] = r.RedirectUris[0] }, "redirect_uris"},
		"too many":          {func(r *authv1.CreateClientRequest) { r.RedirectUris = many(21) }, "redirect_uris"},
		"too long":          {func(r *authv1.CreateClientRequest) { r.RedirectUris[0] += strings.Repeat("a", 1000) }, "redirect_uris[0]"},
		"after sign-out":    {func(r *authv1.CreateClientRequest) { r.PostLogoutRedirectUris[0] = "https://*.example.com" }, "post_logout_redirect_uris[0]"},
		"origin":            {func(r *authv1.CreateClientRequest) { r.WebOrigins[0] += "/" }, "web_origins[0]"},
		"audience":          {func(r *authv1.CreateClientRequest) { r.Audiences[0] = "api" }, "audiences[0]"},
		"issuer":            {func(r *authv1.CreateClientRequest) { r.Audiences[0] = "https://id.example/" }, "audiences[0]"},
		"scope":             {func(r *authv1.CreateClientRequest) { r.Scopes = []string{"openid", "admin"} }, "scopes[1]"},
		"platform as scope": {func(r *authv1.CreateClientRequest) { r.Scopes = []string{"openid", "gatehouse"} }, "scopes[1]"},
		"algorithm":         {func(r *authv1.CreateClientRequest) { r.IdTokenAlgorithm = "none" }, "id_token_algorithm"},
		"symmetric":         {func(r *authv1.CreateClientRequest) { r.IdTokenAlgorithm = "HS256" }, "id_token_algorithm"},
	} {
		t.Run(name, func(t *testing.T) {
			r := webApp()
			c.change(r)
			_, err := clients.CreateClient(t.Context(), r)
			e := refused(t, err, codes.InvalidArgument, "INVALID_ARGUMENT")
			if len(e.Fields) != 1 || e.Fields[0].Path != c.field {
				t.Errorf("the fields are %v, want %s", e.Fields, c.field)
			}
		})
	}
	list, err := clients.ListClients(t.Context(), &authv1.ListClientsRequest{})
	if check.NoError(t, err); len(list.GetClients()) != 0 {
		t.Errorf("registered are %v", list.GetClients())
	}
}

func many(n int) []string {
	uris := make([]string, n)
	for i := range uris {
		uris[i] = "https://orders.example.com/" + strconv.Itoa(i)
	}
	return uris
}

func TestAClientIsChanged(t *testing.T) {
	a := newAuth(t)
	clients, _ := a.administrator()
	c := registered(t, clients, webApp()).GetClient()
	update := func(tag string, changed *authv1.OAuthClient, paths ...string) (*authv1.OAuthClient, error) {
		changed.Id = c.GetId()
		resp, err := clients.UpdateClient(t.Context(), &authv1.UpdateClientRequest{
			Client: changed, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths}, Etag: tag,
		})
		return resp.GetClient(), err
	}
	next, err := update(c.GetEtag(), &authv1.OAuthClient{PlatformApi: true, IdTokenAlgorithm: "ES256"}, "platform_api", "id_token_algorithm", "web_origins")
	check.NoError(t, err)
	if !next.GetPlatformApi() || next.GetIdTokenAlgorithm() != "ES256" || len(next.GetWebOrigins()) != 0 || next.GetName() != "Orders" ||
		!slices.Equal(next.GetScopes(), c.GetScopes()) || !slices.Equal(next.GetRedirectUris(), c.GetRedirectUris()) || next.GetEtag() == c.GetEtag() {
		t.Errorf("changed is %v", next)
	}
	if s := a.storedClient(c.GetId()); !s.PlatformAPI() || s.IDTokenAlgorithm != client.ES256 {
		t.Errorf("stored is %+v", s)
	}
	_, err = update(c.GetEtag(), &authv1.OAuthClient{Name: "Late"}, "name")
	refused(t, err, codes.Aborted, "ETAG_MISMATCH")
	back, err := update("", &authv1.OAuthClient{Scopes: []string{"openid"}}, "scopes", "platform_api", "id_token_algorithm")
	check.NoError(t, err)
	if back.GetPlatformApi() || !slices.Equal(back.GetScopes(), []string{"openid"}) || back.GetIdTokenAlgorithm() != "RS256" {
		t.Errorf("changed is %v", back)
	}
	for path, changed := range map[string]*authv1.OAuthClient{ // R53
		"client.public": {Public: true}, "client.secrets": {}, "client.first_party": {}, "client.redirect_uris[0]": {RedirectUris: []string{"x:/y"}},
		"client.scopes[0]": {Scopes: []string{"gatehouse"}}, "client.name": {},
	} {
		field, _, _ := strings.Cut(strings.TrimPrefix(path, "client."), "[")
		_, err := update("", changed, field)
		if e := refused(t, err, codes.InvalidArgument, "INVALID_ARGUMENT"); len(e.Fields) != 1 || e.Fields[0].Path != path {
			t.Errorf("the fields are %v, want %s", e.Fields, path)
		}
	}
	got, err := clients.GetClient(t.Context(), &authv1.GetClientRequest{Id: c.GetId()})
	if check.NoError(t, err); got.GetClient().GetEtag() != back.GetEtag() {
		t.Errorf("a refused change changed %v", got.GetClient())
	}
}

// Two secrets are valid while one replaces the other; a client is never without one.
func TestSecretsAreRotated(t *testing.T) {
	a := newAuth(t)
	clients, _ := a.administrator()
	first := registered(t, clients, webApp())
	id := first.GetClient().GetId()
	end := func(secretID string) error {
		_, err := clients.EndClientSecret(t.Context(), &authv1.EndClientSecretRequest{Id: id, SecretId: secretID})
		return err
	}
	refused(t, end(first.GetClient().GetSecrets()[0].GetId()), codes.FailedPrecondition, "LAST_CLIENT_SECRET")
	second, err := clients.RotateClientSecret(t.Context(), &authv1.RotateClientSecretRequest{Id: id})
	check.NoError(t, err)
	if s := a.storedClient(id); !s.Authenticates(first.GetSecret()) || !s.Authenticates(second.GetSecret()) || first.GetSecret() == second.GetSecret() {
		t.Error("not both secrets are valid while one replaces the other")
	}
	_, err = clients.RotateClientSecret(t.Context(), &authv1.RotateClientSecretRequest{Id: id})
	refused(t, err, codes.FailedPrecondition, "CLIENT_HAS_TWO_SECRETS")
	old := second.GetClient().GetSecrets()[0].GetId()
	for range 2 { // repeating it is no error
		check.NoError(t, end(old))
	}
	if s := a.storedClient(id); s.Authenticates(first.GetSecret()) || !s.Authenticates(second.GetSecret()) {
		t.Error("the old secret did not end, or the new one did")
	}
	public := registered(t, clients, &authv1.CreateClientRequest{Name: "App", Public: true}).GetClient()
	_, err = clients.RotateClientSecret(t.Context(), &authv1.RotateClientSecretRequest{Id: public.GetId()})
	refused(t, err, codes.FailedPrecondition, "CLIENT_IS_PUBLIC")
}

func TestClientsAreListedInPages(t *testing.T) {
	a := newAuth(t)
	clients, _ := a.administrator()
	var want, got []string
	for i := range 3 {
		r := webApp()
		r.Name = strconv.Itoa(i)
		want = append(want, registered(t, clients, r).GetClient().GetId())
	}
	for r := (&authv1.ListClientsRequest{PageSize: 2}); ; {
		page, err := clients.ListClients(t.Context(), r)
		check.NoError(t, err)
		for _, c := range page.GetClients() {
			got = append(got, c.GetId())
		}
		if r.PageToken = page.GetNextPageToken(); r.PageToken == "" {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("listed are %v, want %v", got, want)
	}
	_, err := clients.ListClients(t.Context(), &authv1.ListClientsRequest{PageToken: "x"})
	refused(t, err, codes.InvalidArgument, "INVALID_ARGUMENT")
}

// R66: each change is an event with what was changed; the grant of the platform's API is one too.
func TestEachChangeOfAClientIsAnEvent(t *testing.T) {
	a := newAuth(t)
	clients, userID := a.administrator()
	c := registered(t, clients, webApp()).GetClient()
	_, err := clients.UpdateClient(t.Context(), &authv1.UpdateClientRequest{
		Client: &authv1.OAuthClient{Id: c.GetId(), PlatformApi: true}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"platform_api"}},
	})
	check.NoError(t, err)
	_, err = clients.RotateClientSecret(t.Context(), &authv1.RotateClientSecretRequest{Id: c.GetId()})
	check.NoError(t, err)
	_, err = clients.EndClientSecret(t.Context(), &authv1.EndClientSecretRequest{Id: c.GetId(), SecretId: c.GetSecrets()[0].GetId()})
	check.NoError(t, err)
	_, err = clients.DeleteClient(t.Context(), &authv1.DeleteClientRequest{Id: c.GetId()})
	check.NoError(t, err)
	_, err = clients.DeleteClient(t.Context(), &authv1.DeleteClientRequest{Id: c.GetId()})
	refused(t, err, codes.NotFound, "CLIENT_NOT_FOUND")
	want := map[string]string{
		"client.created":        `name="Orders" redirect_uris=["https://orders.example.com/callback","http://localhost:3000/callback"]`,
		"client.updated":        `client.platform_api=true`,
		"client.secret_rotated": ``,
		"client.secret_ended":   `secret_id="` + c.GetSecrets()[0].GetId() + `"`,
		"client.deleted":        ``,
	}
	var actions []string
	for _, e := range a.since(0) {
		actions = append(actions, e.Action)
		var changes []string
		for _, c := range e.Changes {
			changes = append(changes, c.Field+"="+string(c.Value))
		}
		if got := strings.Join(changes, " "); !strings.HasPrefix(got, want[e.Action]) || got != "" && want[e.Action] == "" {
			t.Errorf("%s says %s, want %s", e.Action, got, want[e.Action])
		}
		if e.ObjectType != "client" || e.ObjectID != c.GetId() || e.Actor.ID != userID || e.OrganizationID != "" {
			t.Errorf("%s is of %+v about %s:%s in %s", e.Action, e.Actor, e.ObjectType, e.ObjectID, e.OrganizationID)
		}
	}
	if want := []string{"client.created", "client.updated", "client.secret_rotated", "client.secret_ended", "client.deleted"}; !slices.Equal(actions, want) {
		t.Errorf("recorded are %v", actions)
	}
}

// R50, R62: who has no right to manage clients learns nothing of them, and neither does anybody
// while Authz is down.
func TestClientsAreForAdministrators(t *testing.T) {
	a := newAuth(t)
	clients, userID := a.administrator()
	c := registered(t, clients, webApp()).GetClient()
	calls := map[string]func() error{
		"create": func() error { _, err := clients.CreateClient(t.Context(), webApp()); return err },
		"get": func() error {
			_, err := clients.GetClient(t.Context(), &authv1.GetClientRequest{Id: c.GetId()})
			return err
		},
		"list": func() error { _, err := clients.ListClients(t.Context(), &authv1.ListClientsRequest{}); return err },
		"update": func() error {
			_, err := clients.UpdateClient(t.Context(), &authv1.UpdateClientRequest{Client: &authv1.OAuthClient{Id: c.GetId(), PlatformApi: true}})
			return err
		},
		"delete": func() error {
			_, err := clients.DeleteClient(t.Context(), &authv1.DeleteClientRequest{Id: c.GetId()})
			return err
		},
		"rotate": func() error {
			_, err := clients.RotateClientSecret(t.Context(), &authv1.RotateClientSecretRequest{Id: c.GetId()})
			return err
		},
		"end": func() error {
			_, err := clients.EndClientSecret(t.Context(), &authv1.EndClientSecretRequest{Id: c.GetId(), SecretId: uuid.NewString()})
			return err
		},
	}
	a.grants.Revoke(userID, "can_manage_clients", "platform:gatehouse")
	for name, call := range calls {
		t.Run(name, func(t *testing.T) { refused(t, call(), codes.PermissionDenied, "PERMISSION_DENIED") })
	}
	a.grants.Fail(errors.New("connection refused"))
	for name, call := range calls {
		t.Run(name+" while Authz is down", func(t *testing.T) { refused(t, call(), codes.Unavailable, "AUTHZ_UNAVAILABLE") })
	}
}

// R27: the gateway, and nobody else, learns whose pages may call.
func TestListWebOrigins(t *testing.T) {
	a := newAuth(t)
	clients, _ := a.administrator()
	registered(t, clients, webApp())
	trusted := webApp()
	trusted.WebOrigins, trusted.PlatformApi = []string{"https://admin.example.com"}, true
	registered(t, clients, trusted)
	resp, err := authv1.NewClientDirectoryServiceClient(a.As("gateway")).ListWebOrigins(t.Context(), &authv1.ListWebOriginsRequest{})
	check.NoError(t, err)
	var got []string
	for _, o := range resp.GetOrigins() {
		got = append(got, fmt.Sprint(o.GetOrigin(), " ", o.GetPlatformApi()))
	}
	if want := []string{"https://admin.example.com true", "https://orders.example.com false"}; !slices.Equal(got, want) {
		t.Errorf("the origins are %v, want %v", got, want)
	}
	_, err = authv1.NewClientDirectoryServiceClient(a.As("identity")).ListWebOrigins(t.Context(), &authv1.ListWebOriginsRequest{})
	refused(t, err, codes.PermissionDenied, "CALLER_NOT_ADMITTED")
}
