package openid_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse/gatehouse/internal/access"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/services/auth/internal/client"
)

func TestCodeForTokens(t *testing.T) {
	w := newWorld(t)
	told := w.grant(t, "scope", "openid email offline_access")
	c, err := w.verifier.VerifyIssued(t.Context(), told.text("access_token"))
	if err != nil || c.Subject != w.userID || c.ClientID != webID || c.OrganizationID != w.org || c.Scope != "openid email offline_access" ||
		!slices.Equal(c.Audience, []string{issuer}) {
		t.Errorf("the access token says %+v, %v", c, err)
	}
	if told["token_type"] != "Bearer" || told["expires_in"] != 600.0 || told["scope"] != "openid email offline_access" || told.text("refresh_token") == "" {
		t.Errorf("answered %v", told)
	}
	if _, err := w.verifier.Verify(t.Context(), told.text("access_token")); err == nil {
		t.Error("the token of a client is good on the platform's own API")
	}
	var id map[string]any
	if err := json.Unmarshal([]byte(told.text("id_token")), &id); err != nil {
		t.Fatal(err)
	}
	now := float64(w.now.Unix())
	want := map[string]any{
		"iss": issuer, "sub": w.userID, "aud": webID, "iat": now, "exp": now + 600, "auth_time": now - 3600, "amr": []any{"pwd"}, "nonce": "n",
		"at_hash": id["at_hash"], "email": "ada@example.com", "email_verified": false,
	}
	if diff := cmp.Diff(want, id); diff != "" {
		t.Errorf("the ID token (-want +got):\n%s", diff)
	}
	events := w.Recorded(t)
	last := events[len(events)-1]
	if last.Action != "auth.client_signed_in" || last.Actor != (event.Actor{Type: event.User, ID: w.userID, SessionID: c.SessionID, ClientID: webID}) || last.ObjectID != w.userID {
		t.Errorf("recorded %+v", last)
	}
}

// Only who may be away gets a refresh token (OpenID Connect Core, section 11), and only OpenID
// requests an ID token.
func TestScopesDecideWhatIsHandedOut(t *testing.T) {
	w := newWorld(t)
	told := w.grant(t)
	if told.text("refresh_token") != "" || told.text("id_token") == "" || told["scope"] != "openid email" {
		t.Errorf("without offline_access: %v", told)
	}
	if told = w.grant(t, "scope", "email offline_access"); told.text("refresh_token") == "" || told.text("id_token") != "" {
		t.Errorf("without openid: %v", told)
	}
}

func TestConfidentialClients(t *testing.T) { // R35
	w := newWorld(t)
	good := func() string { return w.code(t, "client_id", backendID, "scope", "openid gatehouse") }
	for name, c := range map[string]struct {
		pairs  []string
		header func(*http.Request)
	}{
		"basic":        {[]string{"client_id", ""}, basic(backendID, "secret")},
		"basic and id": {[]string{"client_id", backendID}, basic(backendID, "secret")},
		"post":         {[]string{"client_id", backendID, "client_secret", "secret"}, func(*http.Request) {}},
		"with a charset": {[]string{"client_id", ""}, func(r *http.Request) {
			basic(backendID, "secret")(r)
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded;charset=UTF-8")
		}},
		"in lower case": {[]string{"client_id", ""}, func(r *http.Request) {
			basic(backendID, "secret")(r)
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "Basic", "basic", 1))
		}},
		"unknown field":   {[]string{"client_id", "", "x", "y"}, basic(backendID, "secret")},
		"with a resource": {[]string{"client_id", "", "resource", "https://a.example"}, basic(backendID, "secret")},
	} {
		t.Run(name, func(t *testing.T) {
			r, told := post(t, w.Token, redeems(good(), c.pairs...), c.header)
			if r.StatusCode != http.StatusOK {
				t.Fatalf("%d %v", r.StatusCode, told)
			}
			claims, err := w.verifier.Verify(t.Context(), told.text("access_token"))
			if err != nil || !slices.Equal(claims.Audience, []string{issuer, "https://api.example", "gatehouse"}) {
				t.Errorf("the access token says %+v, %v", claims, err)
			}
		})
	}
}

func TestTokenRefusesClients(t *testing.T) { // R35
	w := newWorld(t)
	public, backend := w.code(t), w.code(t, "client_id", backendID)
	for name, c := range map[string]struct {
		code   string
		pairs  []string
		header func(*http.Request)
		want   string
	}{
		"nobody":                   {public, []string{"client_id", ""}, nil, "invalid_client"},
		"unknown":                  {public, []string{"client_id", unknownID}, nil, "invalid_client"},
		"NUL":                      {public, []string{"client_id", ""}, basic(webID+"\x00", ""), "invalid_client"},
		"public with a secret":     {public, []string{"client_secret", "x"}, nil, "invalid_client"},
		"no secret":                {backend, []string{"client_id", backendID}, nil, "invalid_client"},
		"wrong secret":             {backend, []string{"client_id", ""}, basic(backendID, "Secret"), "invalid_client"},
		"long secret":              {backend, []string{"client_id", ""}, basic(backendID, strings.Repeat("s", 600)), "invalid_client"},
		"unknown with a secret":    {backend, []string{"client_id", ""}, basic(unknownID, "secret"), "invalid_client"},
		"hash of the secret":       {backend, []string{"client_id", ""}, basic(backendID, "K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols="), "invalid_client"},
		"in two ways":              {backend, []string{"client_id", backendID, "client_secret", "secret"}, basic(backendID, "secret"), "invalid_request"},
		"as two":                   {backend, []string{"client_id", webID}, basic(backendID, "secret"), "invalid_request"},
		"bearer":                   {backend, []string{"client_id", backendID}, func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, "invalid_client"},
		"two headers":              {backend, nil, func(r *http.Request) { r.Header["Authorization"] = []string{"Basic Og==", "Basic Og=="} }, "invalid_client"},
		"not encoded":              {backend, []string{"client_id", ""}, func(r *http.Request) { r.SetBasicAuth(backendID, "%zz") }, "invalid_client"},
		"assertion":                {backend, []string{"client_id", backendID, "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, nil, "invalid_client"},
		"another one's code":       {backend, nil, nil, "invalid_grant"},
		"a backend's other's code": {backend, []string{"client_id", ""}, basic(otherID, "secret"), "invalid_grant"},
	} {
		t.Run(name, func(t *testing.T) {
			change := c.header
			if change == nil {
				change = func(*http.Request) {}
			}
			r, told := post(t, w.Token, redeems(c.code, c.pairs...), change)
			if want := map[string]int{"invalid_client": 401}[c.want]; told["error"] != c.want || r.StatusCode != max(want, 400) {
				t.Errorf("%d %v, want %s", r.StatusCode, told, c.want)
			}
		})
	}
	if r, told := post(t, w.Token, redeems(public)); r.StatusCode != http.StatusOK { // none of that used the code up
		t.Errorf("the code afterwards: %v", told)
	}
}

// What a code is bound to is checked on every exchange, also of a client with a secret.
func TestTokenRefusesCodes(t *testing.T) { // R30, R31, R32
	w := newWorld(t)
	for _, of := range []client.Client{w.client, w.backend} {
		change, own := func(*http.Request) {}, []string{}
		if !of.Public {
			change, own = basic(of.ID, "secret"), []string{"client_id", ""}
		}
		code := w.code(t, "client_id", of.ID)
		for name, c := range map[string]struct {
			pairs []string
			want  string
		}{
			"no code":             {[]string{"code", ""}, "invalid_request"},
			"no redirect":         {[]string{"redirect_uri", ""}, "invalid_request"},
			"another redirect":    {[]string{"redirect_uri", callback + "/"}, "invalid_grant"},
			"no verifier":         {[]string{"code_verifier", ""}, "invalid_request"},
			"wrong verifier":      {[]string{"code_verifier", strings.Repeat("v", 43)}, "invalid_grant"},
			"the challenge":       {[]string{"code_verifier", s256}, "invalid_grant"},
			"short verifier":      {[]string{"code_verifier", verifier[:42]}, "invalid_grant"},
			"forged":              {[]string{"code", code[:len(code)-2] + "AA"}, "invalid_grant"},
			"cut":                 {[]string{"code", code[:20]}, "invalid_grant"},
			"not base64":          {[]string{"code", "%%%"}, "invalid_grant"},
			"padded":              {[]string{"code", code + "="}, "invalid_grant"},
			"with a line break":   {[]string{"code", code[:10] + "\n" + code[10:]}, "invalid_grant"},
			"long":                {[]string{"code", strings.Repeat("A", 5000)}, "invalid_grant"},
			"no grant type":       {[]string{"grant_type", ""}, "invalid_request"},
			"password":            {[]string{"grant_type", "password"}, "unsupported_grant_type"},
			"implicit":            {[]string{"grant_type", "implicit"}, "unsupported_grant_type"},
			"client credentials":  {[]string{"grant_type", "client_credentials"}, "unsupported_grant_type"},
			"exchange":            {[]string{"grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"}, "unsupported_grant_type"},
			"a verifier in Greek": {[]string{"code_verifier", strings.Repeat("ν", 43)}, "invalid_grant"},
		} {
			t.Run(of.ID+" "+name, func(t *testing.T) {
				r, told := post(t, w.Token, redeems(code, append(slices.Clone(own), c.pairs...)...), change)
				if told["error"] != c.want || r.StatusCode != http.StatusBadRequest {
					t.Errorf("%d %v, want %s", r.StatusCode, told, c.want)
				}
			})
		}
		if r, told := post(t, w.Token, redeems(code, own...), change); r.StatusCode != http.StatusOK { // none of that used the code up
			t.Errorf("the code afterwards: %v", told)
		}
	}
}

func TestTokenRefusesForms(t *testing.T) {
	w := newWorld(t)
	code := w.code(t)
	form := redeems(code).Encode()
	for name, c := range map[string]struct{ method, target, media, body string }{
		"GET":                  {"GET", "/oauth2/token?" + form, "", ""},
		"PUT":                  {"PUT", "/oauth2/token", "application/x-www-form-urlencoded", form},
		"in the query":         {"POST", "/oauth2/token?" + form, "application/x-www-form-urlencoded", ""},
		"partly in the query":  {"POST", "/oauth2/token?client_id=" + webID, "application/x-www-form-urlencoded", strings.Replace(form, "client_id="+webID, "", 1)},
		"secret in the query":  {"POST", "/oauth2/token?client_secret=x", "application/x-www-form-urlencoded", form},
		"JSON":                 {"POST", "/oauth2/token", "application/json", `{"grant_type":"authorization_code"}`},
		"form as JSON":         {"POST", "/oauth2/token", "application/json", form},
		"no type":              {"POST", "/oauth2/token", "", form},
		"multipart":            {"POST", "/oauth2/token", "multipart/form-data; boundary=x", form},
		"repeated":             {"POST", "/oauth2/token", "application/x-www-form-urlencoded", form + "&client_id=" + webID},
		"repeated and unknown": {"POST", "/oauth2/token", "application/x-www-form-urlencoded", form + "&x=1&x=1"},
		"malformed":            {"POST", "/oauth2/token", "application/x-www-form-urlencoded", form + "&%zz=1"},
		"not UTF-8":            {"POST", "/oauth2/token", "application/x-www-form-urlencoded", form + "&x=%ff"},
		"NUL":                  {"POST", "/oauth2/token", "application/x-www-form-urlencoded", form + "&x=%00"},
		"too large":            {"POST", "/oauth2/token", "application/x-www-form-urlencoded", form + "&x=" + strings.Repeat("x", 65<<10)},
		"empty":                {"POST", "/oauth2/token", "application/x-www-form-urlencoded", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(c.method, issuer+c.target, strings.NewReader(c.body))
			if c.media != "" {
				r.Header.Set("Content-Type", c.media)
			}
			recorder := httptest.NewRecorder()
			w.Token(recorder, r)
			if recorder.Code < 400 || recorder.Code > 405 || recorder.Header().Get("Content-Type") != "application/json" || recorder.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("%d %v %s", recorder.Code, recorder.Header(), recorder.Body)
			}
			want := "invalid_request"
			if name == "empty" {
				want = "invalid_client"
			}
			var told answer
			if err := json.Unmarshal(recorder.Body.Bytes(), &told); err != nil || told["error"] != want {
				t.Errorf("answered %s", recorder.Body)
			}
		})
	}
	if r, told := post(t, w.Token, redeems(code)); r.StatusCode != http.StatusOK { // none of that used the code up
		t.Errorf("the code afterwards: %v", told)
	}
}

func TestCodesAreOldAfterAMinute(t *testing.T) { // R31
	w := newWorld(t)
	code := w.code(t)
	w.now = w.now.Add(time.Minute)
	if r, told := post(t, w.Token, redeems(code)); r.StatusCode != 400 || told["error"] != "invalid_grant" {
		t.Errorf("after a minute: %d %v", r.StatusCode, told)
	}
	code = w.code(t)
	w.now = w.now.Add(time.Minute - time.Millisecond)
	if r, told := post(t, w.Token, redeems(code)); r.StatusCode != 200 {
		t.Errorf("just before: %d %v", r.StatusCode, told)
	}
}

// A second use ends what the first one began: at once, within the minute and after it.
func TestReplayEndsTheGrant(t *testing.T) { // R31
	for name, later := range map[string]time.Duration{"at once": 0, "after the code's time": 2 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			code, other := w.code(t, "scope", "openid offline_access"), w.grant(t)
			_, told := post(t, w.Token, redeems(code))
			w.now = w.now.Add(later)
			for range 2 {
				if r, again := post(t, w.Token, redeems(code)); r.StatusCode != 400 || again["error"] != "invalid_grant" {
					t.Fatalf("the second use: %d %v", r.StatusCode, again)
				}
			}
			w.refresh(t)
			if _, err := w.verifier.VerifyIssued(t.Context(), told.text("access_token")); err == nil {
				t.Error("the access token is still good")
			}
			if r, again := post(t, w.Token, refreshes(told.text("refresh_token"))); r.StatusCode != 400 || again["error"] != "invalid_grant" {
				t.Errorf("the refresh token: %d %v", r.StatusCode, again)
			}
			if _, err := w.verifier.VerifyIssued(t.Context(), other.text("access_token")); err != nil {
				t.Errorf("another session of the client: %v", err)
			}
			var causes []string
			for _, e := range w.Recorded(t) {
				if e.Action == "auth.session_ended" {
					causes = append(causes, string(e.Changes[1].Value))
				}
			}
			if !slices.Equal(causes, []string{`"CODE_REUSED"`}) {
				t.Errorf("recorded %v", causes)
			}
		})
	}
}

// Between the code and its exchange the person may have signed out.
func TestCodesEndWithTheirBrowser(t *testing.T) { // R22
	w := newWorld(t)
	code := w.code(t)
	b, err := w.browsers.Find(t.Context(), w.cookie)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.browsers.End(postgresContext(t), b); err != nil {
		t.Fatal(err)
	}
	if r, told := post(t, w.Token, redeems(code)); r.StatusCode != 400 || told["error"] != "invalid_grant" {
		t.Errorf("after the browser's session: %d %v", r.StatusCode, told)
	}
}

func TestRolesAreAskedOfAuthz(t *testing.T) { // R62
	w := newWorld(t)
	w.roles.held = []access.Question{{Relation: "administrator", Object: "platform:gatehouse"}, {Relation: "owner", Object: "organization:" + w.org}, {Relation: "owner", Object: "organization:other"}}
	var id map[string]any
	if err := json.Unmarshal([]byte(w.grant(t, "scope", "openid roles").text("id_token")), &id); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]any{"platform:gatehouse#administrator", "organization:" + w.org + "#owner"}, id["roles"]); diff != "" || id["email"] != nil || id["org"] != nil {
		t.Errorf("the ID token says %v", id)
	}
	code := w.code(t, "scope", "openid roles")
	w.roles.err = errors.New("down")
	r, told := post(t, w.Token, redeems(code))
	if r.StatusCode != http.StatusServiceUnavailable || told["error"] != "temporarily_unavailable" || told["access_token"] != nil || r.Header.Get("Retry-After") == "" {
		t.Errorf("while Authz is down: %d %v", r.StatusCode, told)
	}
	w.roles.err, w.roles.held = nil, nil
	if r, told := post(t, w.Token, redeems(code)); r.StatusCode != 200 {
		t.Errorf("the same code afterwards: %d %v", r.StatusCode, told)
	}
}
