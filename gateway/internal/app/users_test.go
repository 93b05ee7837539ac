package app_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/apierr"
	incoming "github.com/gatehouse/gatehouse/internal/request"
)

// usersPath is where users are created and listed by permission.
const usersPath = "/api/v1/users"

// keeper is the token of somebody who may create and list users everywhere.
func (r *running) keeper() string {
	r.Grants.Allow("keeper", "can_create_users", "platform:gatehouse")
	r.Grants.Allow("keeper", "can_list_users", "platform:gatehouse")
	return r.bearer("keeper")
}

// R50, R52: without a token 401, without the right 403 for the platform and 404 for an organization, as for one that is not there.
func TestUsersWithoutTheRight(t *testing.T) {
	r := start(t, nil)
	id := r.Users.Add("a@example.com", "A")
	bearer, own := r.bearer(id), r.Users.Get(id).GetOrganizationId()
	for name, c := range map[string]struct {
		q      request
		status int
		reason string
	}{
		"anonymous list":         {request{path: usersPath}, 401, "TOKEN_REQUIRED"},
		"anonymous creation":     {request{method: "POST", path: usersPath, body: `{"email":"b@example.com"}`}, 401, "TOKEN_REQUIRED"},
		"anonymous me":           {request{path: "/api/v1/me"}, 401, "TOKEN_REQUIRED"},
		"list":                   {request{path: usersPath, bearer: bearer}, 403, "PERMISSION_DENIED"},
		"creation":               {request{method: "POST", path: usersPath, bearer: bearer, body: `{"email":"b@example.com"}`}, 403, "PERMISSION_DENIED"},
		"list of an unknown one": {request{path: usersPath + "?organization_id=" + uuid.NewString(), bearer: bearer}, 404, "ORGANIZATION_NOT_FOUND"},
		"list of a foreign one":  {request{path: usersPath + "?organization_id=" + own, bearer: bearer}, 404, "ORGANIZATION_NOT_FOUND"},
		"creation in it": {request{method: "POST", path: usersPath, bearer: bearer,
			body: `{"email":"b@example.com","organization_id":"` + own + `"}`}, 404, "ORGANIZATION_NOT_FOUND"},
		"whose user is gone": {request{path: "/api/v1/me", bearer: r.bearer(uuid.NewString())}, 404, "USER_NOT_FOUND"},
	} {
		t.Run(name, func(t *testing.T) {
			if p := r.refused(c.status, c.q); p.Reason != c.reason {
				t.Errorf("%+v", p)
			}
		})
	}
}

func TestUsersByPermission(t *testing.T) {
	r := start(t, nil)
	bearer := r.keeper()
	created := r.do(request{method: "POST", path: usersPath, bearer: bearer, body: `{"email":"b@example.com","display_name":"B"}`})
	var user struct {
		ID, Email    string
		Organization string `json:"organization_id"`
	}
	decode(t, created, &user)
	if created.status != http.StatusCreated || user.Email != "b@example.com" || created.header.Get("ETag") != `"v1"` ||
		created.header.Get(consistencyHeader) != r.Users.Related() {
		t.Fatalf("%d %v %s", created.status, created.header, created.body)
	}
	again := `{"email":"b@example.com","organization_id":"` + user.Organization + `"}`
	if p := r.refused(http.StatusConflict, request{method: "POST", path: usersPath, bearer: bearer, body: again}); p.Reason != "EMAIL_TAKEN" {
		t.Errorf("%+v", p)
	}
	r.Users.Add("c@example.com", "C")
	var seen []string
	filter := `email != "x" AND display_name != ""`
	for next := ""; ; {
		a := r.do(request{path: usersPath + "?page_size=1&filter=" + url.QueryEscape(filter) + "&page_token=" + next, bearer: bearer})
		var page struct {
			Users []struct{ ID string }
			Next  string `json:"next_page_token"`
		}
		if decode(t, a, &page); a.status != http.StatusOK || len(page.Users) != 1 || len(seen) > 1 {
			t.Fatalf("%d %s after %v", a.status, a.body, seen)
		}
		seen = append(seen, page.Users[0].ID)
		if next = page.Next; next == "" {
			break
		}
	}
	if q := r.Users.Listed(); len(seen) != 2 || seen[0] == seen[1] || q.GetFilter() != filter || q.GetPageSize() != 1 {
		t.Errorf("%v by %v", seen, q)
	}
	me := r.do(request{path: "/api/v1/me", bearer: r.bearer(user.ID)})
	var who struct {
		User          struct{ ID string }
		Organizations []struct {
			Organization struct{ ID string }
			Permissions  []string
		}
		Permissions *[]string
	}
	decode(t, me, &who)
	if me.status != http.StatusOK || who.User.ID != user.ID || len(who.Organizations) != 1 || who.Organizations[0].Organization.ID != user.Organization ||
		who.Permissions == nil { // unpopulated fields are written
		t.Errorf("%d %s", me.status, me.body)
	}
}

// R63: what failed after it wrote answers with its token too; a token that is sent twice is none, whichever is first.
func TestConsistencyTokenBesideFailures(t *testing.T) {
	r := start(t, nil)
	id := r.Users.Add("a@example.com", "A")
	r.Users.Hook(func(ctx context.Context) error {
		incoming.Wrote(ctx, r.Users.Related())
		return apierr.New(apierr.Unavailable, "AUTH_UNAVAILABLE", "later")
	})
	a := r.do(request{method: "DELETE", path: usersPath + "/" + id, bearer: r.bearer(id)})
	if document(t, a).Reason != "AUTH_UNAVAILABLE" || a.header.Get(consistencyHeader) != r.Users.Related() {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
	for _, second := range []string{r.Users.Related(), "x", ""} {
		raw := exchange(t, r, "GET "+usersPath+"/"+id+" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+r.bearer(id)+"\r\n"+
			consistencyHeader+": "+r.Users.Related()+"\r\n"+consistencyHeader+": "+second+"\r\nConnection: close\r\n\r\n")
		if raw.status != http.StatusBadRequest || !strings.Contains(raw.body, "INVALID_CONSISTENCY_TOKEN") ||
			!strings.Contains(raw.body, `"`+consistencyHeader+`"`) { // the gateway's own refusal names the header
			t.Errorf("%q: %d %s", second, raw.status, raw.body)
		}
	}
}
