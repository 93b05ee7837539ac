package app_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// badInput is a request and how it is refused.
type badInput struct {
	request
	status              int
	reason, field, rule string
}

func badInputs(id, bearer string) map[string]badInput {
	user := "/api/v1/users/" + id
	patch := func(body string) request { return request{method: "PATCH", path: user, bearer: bearer, body: body} }
	signUp := func(body string) request { return request{method: "POST", path: "/api/v1/auth/sign-up", body: body} }
	inputs := map[string]badInput{
		"GET with a body":          {request{path: user, bearer: bearer, body: "{}"}, 400, "BODY_NOT_ALLOWED", "", "body.empty"},
		"DELETE with a body":       {request{method: "DELETE", path: user, bearer: bearer, body: "{}"}, 400, "BODY_NOT_ALLOWED", "", "body.empty"},
		"unknown parameter":        {request{path: user + "?colour=red", bearer: bearer}, 400, "UNKNOWN_PARAMETER", "colour", "known"},
		"path field in the query":  {request{path: user + "?id=" + id, bearer: bearer}, 400, "UNKNOWN_PARAMETER", "id", "known"},
		"body field in the query":  {request{method: "PATCH", path: user + "?user.email=x", bearer: bearer, body: "{}"}, 400, "UNKNOWN_PARAMETER", "user.email", "known"},
		"parameter in camel case":  {request{method: "PATCH", path: user + "?updateMask=locale", bearer: bearer, body: "{}"}, 400, "UNKNOWN_PARAMETER", "updateMask", "known"},
		"etag in the query":        {request{method: "DELETE", path: user + "?etag=v1", bearer: bearer}, 400, "UNKNOWN_PARAMETER", "etag", "known"},
		"parameter twice":          {request{method: "PATCH", path: user + "?update_mask=locale&update_mask=email", bearer: bearer, body: "{}"}, 400, "DUPLICATE_PARAMETER", "update_mask", "unique"},
		"query of a POST":          {request{method: "POST", path: "/api/v1/auth/sign-in?email=a", body: "{}"}, 400, "UNKNOWN_PARAMETER", "email", "known"},
		"token in the query":       {request{method: "POST", path: "/api/v1/auth/sign-in?access_token=a", body: "{}"}, 400, "UNKNOWN_PARAMETER", "access_token", "known"},
		"bad percent":              {request{path: user + "?a=%zz", bearer: bearer}, 400, "MALFORMED_QUERY", "", "query.syntax"},
		"semicolon":                {request{path: user + "?a=1;b=2", bearer: bearer}, 400, "MALFORMED_QUERY", "", "query.syntax"},
		"query not UTF-8":          {request{method: "PATCH", path: user + "?update_mask=%ff", bearer: bearer, body: "{}"}, 400, "INVALID_PARAMETER", "update_mask", "utf8"},
		"unquoted If-Match":        {typed(patch(`{"locale":"de"}`), "If-Match", "v1"), 400, "INVALID_IF_MATCH", "If-Match", "etag.syntax"},
		"empty If-Match":           {typed(patch(`{"locale":"de"}`), "If-Match", " "), 400, "INVALID_IF_MATCH", "If-Match", "etag.syntax"},
		"list of If-Match":         {typed(patch(`{"locale":"de"}`), "If-Match", `"v1", "v2"`), 400, "INVALID_IF_MATCH", "If-Match", "etag.syntax"},
		"weak If-Match":            {typed(patch(`{"locale":"de"}`), "If-Match", `W/"v1"`), 412, "ETAG_MISMATCH", "If-Match", "etag.strong"},
		"If-Match on a GET":        {typed(request{path: user, bearer: bearer}, "If-Match", `"v1"`), 400, "INVALID_IF_MATCH", "If-Match", "etag.syntax"},
		"If-Match on a sign-in":    {typed(request{method: "POST", path: "/api/v1/auth/sign-in", body: "{}"}, "If-Match", `"v1"`), 0, "", "", ""},
		"no such path":             {request{path: "/api/v1/nothing"}, 404, "NO_SUCH_PATH", "", ""},
		"no such version":          {request{path: "/api/v2/users/" + id, bearer: bearer}, 404, "NO_SUCH_PATH", "", ""},
		"trailing slash":           {request{path: user + "/", bearer: bearer}, 404, "NO_SUCH_PATH", "", ""},
		"other case":               {request{path: "/API/v1/users/" + id, bearer: bearer}, 404, "NO_SUCH_PATH", "", ""},
		"gRPC path":                {request{method: "POST", path: "/gatehouse.identity.v1.UserService/GetUser", body: "{}"}, 404, "NO_SUCH_PATH", "", ""},
		"metrics":                  {request{path: "/metrics"}, 404, "NO_SUCH_PATH", "", ""},
		"pprof":                    {request{path: "/debug/pprof/"}, 404, "NO_SUCH_PATH", "", ""},
		"version":                  {request{path: "/version"}, 404, "NO_SUCH_PATH", "", ""},
		"PUT":                      {request{method: "PUT", path: user, bearer: bearer, body: "{}"}, 405, "METHOD_NOT_ALLOWED", "", ""},
		"TRACE":                    {request{method: "TRACE", path: user, bearer: bearer}, 405, "METHOD_NOT_ALLOWED", "", ""},
		"POST fallback to GET":     {typed(request{method: "POST", path: user, bearer: bearer, body: "a=b"}, "Content-Type", "application/x-www-form-urlencoded"), 405, "METHOD_NOT_ALLOWED", "", ""},
		"method override":          {typed(request{method: "POST", path: user, bearer: bearer, body: "a=b"}, "X-Http-Method-Override", "DELETE"), 400, "HEADER_NOT_ALLOWED", "X-Http-Method-Override", "header.reserved"},
		"lower-case method":        {request{method: "get", path: user, bearer: bearer}, 405, "METHOD_NOT_ALLOWED", "", ""},
		"too large, announced":     {signUp(`{"email":"` + strings.Repeat("x", 1<<20) + `"}`), 413, "BODY_TOO_LARGE", "", "body.max_bytes"},
		"too large, authenticated": {patch(`{"email":"` + strings.Repeat("x", 1<<20) + `"}`), 413, "BODY_TOO_LARGE", "", "body.max_bytes"},
	}
	maps.Copy(inputs, badBodies(request{method: "PATCH", path: user, bearer: bearer}, patch, signUp))
	return inputs
}

func badBodies(none request, patch, signUp func(body string) request) map[string]badInput {
	return map[string]badInput{
		"malformed":              {patch(`{"display_name": `), 400, "MALFORMED_JSON", "", "json.syntax"},
		"trailing garbage":       {patch(`{} x`), 400, "MALFORMED_JSON", "", "json.syntax"},
		"second value":           {patch(`{}{}`), 400, "MALFORMED_JSON", "", "json.syntax"},
		"comment":                {patch(`{/**/}`), 400, "MALFORMED_JSON", "", "json.syntax"},
		"invalid UTF-8":          {patch("{\"display_name\":\"\xff\"}"), 400, "MALFORMED_JSON", "", "json.utf8"},
		"lone surrogate":         {patch(`{"display_name":"\ud800"}`), 400, "INVALID_FIELD", "display_name", "type"},
		"null":                   {patch(`null`), 400, "INVALID_FIELD", "", "type"},
		"array":                  {patch(`[]`), 400, "INVALID_FIELD", "", "type"},
		"string":                 {patch(`"x"`), 400, "INVALID_FIELD", "", "type"},
		"empty":                  {typed(patch(" "), "Content-Type", "application/json"), 400, "MALFORMED_JSON", "", "json.syntax"},
		"none":                   {typed(none, "Content-Type", "application/json"), 400, "BODY_REQUIRED", "", "body.required"},
		"unknown field":          {patch(`{"display_nam":"x"}`), 400, "UNKNOWN_FIELD", "display_nam", "known"},
		"camel case":             {patch(`{"displayName":"x"}`), 400, "UNKNOWN_FIELD", "displayName", "known"},
		"case":                   {patch(`{"Display_Name":"x"}`), 400, "UNKNOWN_FIELD", "Display_Name", "known"},
		"duplicate field":        {patch(`{"locale":"de","locale":"en"}`), 400, "DUPLICATE_FIELD", "locale", "unique"},
		"escaped duplicate":      {patch(`{"locale":"de","local\u0065":"en"}`), 400, "DUPLICATE_FIELD", "locale", "unique"},
		"prototype pollution":    {patch(`{"__proto__":{}}`), 400, "UNKNOWN_FIELD", "__proto__", "known"},
		"number for string":      {patch(`{"display_name":7}`), 400, "INVALID_FIELD", "display_name", "type"},
		"object for string":      {patch(`{"display_name":{}}`), 400, "INVALID_FIELD", "display_name", "type"},
		"array for string":       {patch(`{"display_name":["x"]}`), 400, "INVALID_FIELD", "display_name", "type"},
		"bad timestamp":          {patch(`{"create_time":"yesterday"}`), 400, "INVALID_FIELD", "create_time", "type"},
		"deep":                   {patch(`{"create_time":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`), 400, "MALFORMED_JSON", "create_time", "json.depth"},
		"unknown field, sign-up": {signUp(`{"email":"b@example.com","password":"` + password + `","admin":true}`), 400, "UNKNOWN_FIELD", "admin", "known"},
		"wrong type, sign-up":    {signUp(`{"email":["b@example.com"],"password":"` + password + `"}`), 400, "INVALID_FIELD", "email", "type"},
		"text":                   {typed(signUp(`{}`), "Content-Type", "text/plain"), 415, "UNSUPPORTED_MEDIA_TYPE", "Content-Type", "media_type"},
		"form":                   {typed(signUp(`email=a`), "Content-Type", "application/x-www-form-urlencoded"), 415, "UNSUPPORTED_MEDIA_TYPE", "Content-Type", "media_type"},
		"multipart":              {typed(signUp(`x`), "Content-Type", "multipart/form-data; boundary=x"), 415, "UNSUPPORTED_MEDIA_TYPE", "Content-Type", "media_type"},
		"no type":                {typed(signUp(`{}`), "Content-Type", ""), 415, "UNSUPPORTED_MEDIA_TYPE", "Content-Type", "media_type"},
		"JSON in Latin-1":        {typed(signUp(`{}`), "Content-Type", "application/json; charset=latin1"), 415, "UNSUPPORTED_MEDIA_TYPE", "Content-Type", "media_type"},
		"JSON patch":             {typed(patch(`[]`), "Content-Type", "application/json-patch+json"), 415, "UNSUPPORTED_MEDIA_TYPE", "Content-Type", "media_type"},
		"compressed":             {typed(signUp(`{}`), "Content-Encoding", "gzip"), 415, "UNSUPPORTED_MEDIA_TYPE", "Content-Encoding", "media_type"},
	}
}

// typed is a request with a header.
func typed(q request, name, value string) request {
	q.header = map[string]string{name: value}
	return q
}

// Bad input is refused with a problem document that names the field and the rule, before any service is called. R25: so is a
// body of a type that a page of another site may send.
func TestBadInputIsRefusedBeforeAnyCall(t *testing.T) {
	r := start(t, nil)
	id := r.Users.Add("a@example.com", "A")
	before, calls := r.Users.Get(id), r.Users.Calls()
	for name, c := range badInputs(id, r.bearer(id)) {
		t.Run(name, func(t *testing.T) {
			if c.status == 0 {
				c.status, c.reason, c.field, c.rule = 400, "INVALID_IF_MATCH", "If-Match", "etag.syntax"
			}
			p := r.refused(c.status, c.request)
			if p.Reason != c.reason {
				t.Errorf("reason %s, want %s: %+v", p.Reason, c.reason, p)
			}
			if c.rule == "" {
				return
			}
			if len(p.Errors) != 1 || p.Errors[0].Field != c.field || p.Errors[0].Rule != c.rule || p.Errors[0].Description == "" {
				t.Errorf("errors %+v, want field %q and rule %q", p.Errors, c.field, c.rule)
			}
		})
	}
	if after := r.Users.Get(id); r.Users.Calls() != calls || after.String() != before.String() {
		t.Errorf("bad input reached the service: %d calls, %v", r.Users.Calls()-calls, after)
	}
}

// What a service refuses comes back with its reason, and fields are named as the client wrote them.
func TestRefusalsOfServices(t *testing.T) {
	r := start(t, nil)
	id, foreign := r.Users.Add("a@example.com", "A"), r.Users.Add("b@example.com", "B")
	bearer := r.bearer(id)
	for name, c := range map[string]struct {
		request
		status        int
		reason, field string
	}{
		"rule of the contract":    {request{method: "PATCH", path: "/api/v1/users/" + id, bearer: bearer, body: `{"locale":"not a locale"}`}, 400, "", "locale"},
		"rule of the service":     {request{method: "PATCH", path: "/api/v1/users/" + id, bearer: bearer, body: `{"email":"x@example.com"}`}, 400, "INVALID_ARGUMENT", "email"},
		"parameter":               {request{method: "PATCH", path: "/api/v1/users/" + id + "?update_mask=email", bearer: bearer, body: `{}`}, 400, "INVALID_ARGUMENT", "email"},
		"sign-up rule":            {request{method: "POST", path: "/api/v1/auth/sign-up", body: `{"email":"x","password":"short"}`}, 400, "", "email"},
		"foreign user":            {request{path: "/api/v1/users/" + foreign, bearer: bearer}, 404, "USER_NOT_FOUND", ""},
		"unknown user":            {request{path: "/api/v1/users/3b1f1d5e-0d2f-4c44-9a40-7d0a3c5f9a11", bearer: bearer}, 404, "USER_NOT_FOUND", ""},
		"wrong password":          {request{method: "POST", path: "/api/v1/auth/sign-in", body: `{"email":"a@example.com","password":"x"}`}, 401, "INVALID_CREDENTIALS", ""},
		"stale etag":              {request{method: "PATCH", path: "/api/v1/users/" + id, bearer: bearer, body: `{"locale":"de"}`, header: map[string]string{"If-Match": `"old"`}}, 412, "ETAG_MISMATCH", ""},
		"not implemented (fake)":  {request{method: "POST", path: "/api/v1/auth/refresh", body: `{"refresh_token":"x"}`}, 500, "INTERNAL", ""},
		"no token":                {request{path: "/api/v1/users/" + id}, 401, "TOKEN_REQUIRED", ""},
		"token in a query string": {request{path: "/api/v1/users/" + id + "?access_token=" + bearer}, 401, "TOKEN_REQUIRED", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := r.refused(c.status, c.request)
			if c.reason != "" && p.Reason != c.reason {
				t.Errorf("reason %s, want %s", p.Reason, c.reason)
			}
			if c.field != "" && (len(p.Errors) == 0 || p.Errors[0].Field != c.field) {
				t.Errorf("errors %+v, want field %s", p.Errors, c.field)
			}
			if text := p.Detail; strings.Contains(text, "rpc") || strings.Contains(text, "proto") {
				t.Errorf("the detail tells of the machinery: %s", text)
			}
		})
	}
	foreignAnswer := r.refused(404, request{path: "/api/v1/users/" + foreign, bearer: bearer})
	unknownAnswer := r.refused(404, request{path: "/api/v1/users/3b1f1d5e-0d2f-4c44-9a40-7d0a3c5f9a11", bearer: bearer})
	foreignAnswer.Instance, unknownAnswer.Instance = "", ""
	if foreignAnswer.Detail != unknownAnswer.Detail || foreignAnswer.Type != unknownAnswer.Type { // R52
		t.Errorf("a foreign user is told from an unknown one: %+v %+v", foreignAnswer, unknownAnswer)
	}
}

// If-Match: * and a good tag are honoured; a null clears a field that the mask then names.
func TestPreconditionsThatHold(t *testing.T) {
	r := start(t, nil)
	id := r.Users.Add("a@example.com", "A")
	for _, tag := range []string{`*`, `"v1"`} {
		a := r.do(request{method: "PATCH", path: "/api/v1/users/" + id, bearer: r.bearer(id), body: `{"display_name":null}`,
			header: map[string]string{"If-Match": tag}})
		if a.status != http.StatusOK && tag == "*" {
			t.Errorf("If-Match %s: %d %s", tag, a.status, a.body)
		}
		if tag == `"v1"` && a.status != http.StatusPreconditionFailed { // * has changed it
			t.Errorf("If-Match %s after a change: %d %s", tag, a.status, a.body)
		}
	}
	if name := r.Users.Get(id).GetDisplayName(); name != "" {
		t.Errorf("null left display_name %q", name)
	}
}

// R59, R50: a walk over all routes: anonymous is refused on every route that is not public, and every verb else is 405 with Allow.
func TestEveryRouteRefusesStrangers(t *testing.T) {
	r := start(t, nil)
	verbs := []string{"GET", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "TRACE", "PROPFIND"}
	for path, routes := range map[string][]string{
		"/api/v1/users/x": {"GET", "PATCH", "DELETE"}, "/api/v1/auth/sign-out": {"POST"}, "/api/v1/auth/sign-in": {"POST"},
		"/api/v1/auth/sign-up": {"POST"}, "/api/v1/auth/refresh": {"POST"}, "/api/v1/users:watch": {"GET"}, "/api/v1/users:import": {"POST"},
	} {
		for _, verb := range verbs {
			if verb == "CONNECT" { // net/http's client makes it a tunnel
				continue
			}
			a := r.do(request{method: verb, path: path})
			public := strings.HasPrefix(path, "/api/v1/auth/") && path != "/api/v1/auth/sign-out"
			switch known := slices.Contains(routes, verb); {
			case !known && (a.status != 405 || !strings.Contains(a.header.Get("Allow"), routes[0])):
				t.Errorf("%s %s: %d, Allow %q", verb, path, a.status, a.header.Get("Allow"))
			case known && !public && (a.status != 401 || a.header.Get("WWW-Authenticate") == ""):
				t.Errorf("anonymous %s %s: %d, WWW-Authenticate %q", verb, path, a.status, a.header.Get("WWW-Authenticate"))
			case known && public && a.status == 401:
				t.Errorf("public %s %s: %d", verb, path, a.status)
			}
		}
	}
}
