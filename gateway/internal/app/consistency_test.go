package app_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

const (
	consistencyHeader = "Gatehouse-Consistency-Token"
	relationship      = `{"object":"organization:1","relation":"admin","subject":"user:2"}`
)

// administrator is the token of somebody who may write relationships.
func (r *running) administrator() string {
	r.Grants.Allow("administrator", "can_manage_relationships", "platform:gatehouse")
	return r.bearer("administrator")
}

// R63: a write answers with a token; a request that sends it hands it to the service and to who is asked for permission.
func TestConsistencyToken(t *testing.T) {
	r := start(t, nil)
	bearer, written := r.administrator(), r.Relationships.Written()
	a := r.do(request{method: "POST", path: "/api/v1/authz/relationships", bearer: bearer, body: `{"writes":[` + relationship + `]}`})
	if a.status != http.StatusOK || a.header.Get(consistencyHeader) != written || !strings.Contains(a.body, written) {
		t.Fatalf("%d %v %s", a.status, a.header, a.body)
	}
	if sent := r.Relationships.Sent(); sent != "" {
		t.Errorf("nobody sent %q", sent)
	}
	checked := r.do(request{method: "POST", path: "/api/v1/authz/check", bearer: bearer, body: relationship,
		header: map[string]string{consistencyHeader: written}})
	if checked.status != http.StatusOK || !strings.Contains(checked.body, "true") || checked.header.Get(consistencyHeader) != "" {
		t.Errorf("%d %v %s", checked.status, checked.header, checked.body)
	}
	asked := r.Grants.Asked()
	if r.Relationships.Sent() != written || asked[len(asked)-1].Token != written {
		t.Errorf("the service got %q, Authz %q", r.Relationships.Sent(), asked[len(asked)-1].Token)
	}
	for _, token := range []string{"x", written + "=", " " + written + "x", "\xff", "ZQ"} {
		p := r.refused(http.StatusBadRequest, request{path: "/api/v1/authz/relationships", bearer: bearer, header: map[string]string{consistencyHeader: token}})
		if p.Reason != "INVALID_CONSISTENCY_TOKEN" || p.Errors[0].Field != consistencyHeader {
			t.Errorf("%q: %+v", token, p)
		}
	}
	if a := r.do(request{path: "/api/v1/authz/relationships", bearer: r.bearer("nobody")}); a.status != http.StatusForbidden {
		t.Errorf("somebody else: %d", a.status)
	}
}

// The filters of the list arrive, timestamps too, and what is none is refused by name.
func TestListEvents(t *testing.T) {
	r := start(t, nil)
	r.Audit.Add(event("1"))
	path := "/api/v1/audit/events?action=user.updated&outcome=success&page_size=7&start_time=2026-01-02T03:04:05.678Z&end_time=2026-01-02T04:04:05%2B01:00"
	a := r.do(request{path: path, bearer: r.auditor()})
	var page struct {
		Events []struct{ ID string }
		Next   *string `json:"next_page_token"`
	}
	decode(t, a, &page)
	if a.status != http.StatusOK || len(page.Events) != 1 || page.Events[0].ID != "1" || page.Next == nil {
		t.Fatalf("%d %s", a.status, a.body)
	}
	q := r.Audit.Listed()
	from := time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)
	if !q.GetStartTime().AsTime().Equal(from) || !q.GetEndTime().AsTime().Equal(from.Truncate(time.Second)) || q.GetPageSize() != 7 || q.GetAction() != "user.updated" {
		t.Errorf("%v", q)
	}
	for query, field := range map[string]string{
		"start_time=yesterday": "start_time", "start_time=2026-01-02": "start_time", "end_time.seconds=1": "end_time.seconds", "page_size=x": "page_size",
		"page_size=1001": "page_size", "outcome=maybe": "outcome", "organization_id=x": "organization_id", "startTime=2026-01-02T03:04:05Z": "startTime",
		"start_time=2026-01-02T03:04:05Z&start_time=2026-01-02T03:04:05Z": "start_time",
	} {
		p := r.refused(http.StatusBadRequest, request{path: "/api/v1/audit/events?" + query, bearer: r.auditor()})
		if len(p.Errors) != 1 || p.Errors[0].Field != field {
			t.Errorf("%s: %+v", query, p)
		}
	}
}
