package e2e_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// An id has one form: whoever spells a UUID in upper case, wherever a request names one, means the
// same object and gets the same answer (issue 8, line 11).
func TestAnIDHasOneForm(t *testing.T) {
	t.Parallel()
	admin, p, other := administrator(t), signUp(t), signUp(t)
	loud := p
	loud.id, loud.organization = strings.ToUpper(p.id), strings.ToUpper(p.organization)

	t.Run("own resources", func(t *testing.T) {
		if got := call(t, http.StatusOK, request{method: "GET", path: loud.path(), bearer: p.access}).body["id"]; got != p.id {
			t.Errorf("the user is %v, want %s", got, p.id)
		}
		for _, query := range []string{"actor_id=" + loud.id, "object_id=" + loud.id, "organization_id=" + loud.organization} {
			call(t, http.StatusOK, request{method: "GET", path: "/api/v1/audit/events?" + query, bearer: p.access})
		}
		call(t, http.StatusOK, request{method: "GET", path: "/api/v1/users?organization_id=" + loud.organization, bearer: p.access})
	})
	t.Run("changes and both filters of the trail", func(t *testing.T) {
		s := openTail(t, plat.URL(), loud, "&action=user.updated", nil)
		s.next()
		id := loud.rename(t, "Loud")
		if e := s.event().Event; e.RequestID != id || e.ObjectID != p.id || e.Actor.ID != p.id {
			t.Errorf("the tail says %+v", e)
		}
		if e := arrives(t, p, url.Values{"actor_id": {loud.id}, "request_id": {id}}); e.ObjectID != p.id {
			t.Errorf("the list says %+v", e)
		}
	})
	t.Run("foreign resources", func(t *testing.T) {
		call(t, http.StatusNotFound, request{method: "GET", path: loud.path(), bearer: other.access})
		call(t, http.StatusForbidden, request{method: "GET", path: "/api/v1/audit/events?actor_id=" + loud.id, bearer: other.access})
	})
	t.Run("relationships", func(t *testing.T) {
		relateByBothForms(t, admin, p, other)
	})
	t.Run("other spellings are not ids of users", func(t *testing.T) {
		bare := strings.ReplaceAll(p.id, "-", "")
		for _, id := range []string{bare, "{" + p.id + "}", "urn:uuid:" + p.id} {
			if !strings.Contains(id, ":") { // which means another route
				call(t, http.StatusNotFound, request{method: "GET", path: "/api/v1/users/" + url.PathEscape(id), bearer: p.access})
			}
			call(t, http.StatusForbidden, request{method: "GET", path: "/api/v1/audit/events?actor_id=" + url.QueryEscape(id), bearer: p.access})
			call(t, http.StatusBadRequest, request{method: "POST", path: "/api/v1/authz/relationships", bearer: admin.access, body: map[string]any{
				"writes": []relationship{{"organization:" + p.organization, "auditor", "user:" + id}}}})
		}
	})
	t.Run("deletion", func(t *testing.T) {
		call(t, http.StatusNoContent, request{method: "DELETE", path: loud.path(), bearer: p.access})
		call(t, http.StatusNotFound, request{method: "GET", path: p.path(), bearer: admin.access})
	})
}

func relateByBothForms(t *testing.T, admin, p, other person) {
	t.Helper()
	loudOrganization := "organization:" + strings.ToUpper(p.organization)
	quiet := relationship{"organization:" + p.organization, "auditor", "user:" + other.id}
	spelled := relationship{loudOrganization, "auditor", "user:" + strings.ToUpper(other.id)}
	token, err := relate(admin, "writes", spelled)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []relationship{quiet, spelled} {
		if err := wantAllowed(admin, token, r, true); err != nil {
			t.Error(err)
		}
		a := call(t, http.StatusOK, request{method: "GET", bearer: admin.access, header: map[string]string{tokenHeader: token},
			path: "/api/v1/authz/relationships?" + url.Values{"object": {r.Object}, "subject": {r.Subject}, "relation": {"auditor"}}.Encode()})
		if strings.Count(string(a.raw), quiet.Subject) != 1 || strings.Contains(string(a.raw), spelled.Subject) {
			t.Errorf("listed by %v: %s", r, a.raw)
		}
	}
	call(t, http.StatusOK, request{method: "GET", path: "/api/v1/audit/events?organization_id=" + strings.ToUpper(p.organization), bearer: other.access,
		header: map[string]string{tokenHeader: token}})
	call(t, http.StatusBadRequest, request{method: "POST", path: "/api/v1/authz/relationships", bearer: admin.access, body: map[string]any{
		"writes": []relationship{quiet}, "preconditions": []any{map[string]any{"relationship": spelled, "exists": false}}}})
	if token, err = relate(admin, "deletes", spelled); err != nil {
		t.Fatal(err)
	}
	if err := wantAllowed(admin, token, quiet, false); err != nil {
		t.Error(err)
	}
}
