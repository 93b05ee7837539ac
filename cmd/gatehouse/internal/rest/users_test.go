package rest_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/rest"
)

// Users are followed as events are: what breaks goes on after the last cursor.
func TestFollowUsers(t *testing.T) {
	g, c := start(t,
		says(`{"user":{"id":"1","email":"a"},"cursor":"c1"}`+"\n"+`{"deleted":{"id":"2"},"cursor":"c2"}`+"\n"+`{"user":{"id":"3"},"cur`),
		says(`{"cursor":"c3"}`+"\n"+`{"error":{"status":400,"reason":"CURSOR_EXPIRED","detail":"Old."}}`))
	var got []string
	err := c.FollowUsers(t.Context(), url.Values{"organization_id": {"o"}}, "", func(change rest.UserChange) error {
		switch {
		case change.User != nil:
			got = append(got, "user "+change.User.ID)
		case change.Deleted != nil:
			got = append(got, "deleted "+change.Deleted.ID)
		default:
			got = append(got, "all told")
		}
		return nil
	}, func(error) {})
	if err == nil || !strings.Contains(err.Error(), "CURSOR_EXPIRED") {
		t.Errorf("it ends with %v", err)
	}
	expect(t, g, []string{"GET /api/v1/users:watch?organization_id=o ", "GET /api/v1/users:watch?cursor=c2&organization_id=o "},
		got, []string{"user 1", "deleted 2", "all told"})
}

// An import that breaks, or meets an expired token, is sent again as a whole; a refusal ends it and
// says what is stored.
func TestImport(t *testing.T) {
	var sent [][]rest.Importing
	answers := []http.HandlerFunc{
		tokens(1),
		problem(503, "SHUTTING_DOWN"), problem(401, "TOKEN_EXPIRED"), tokens(2),
		says(`{"created":"2","exists":"1","conflicts":"1","refusals":[{"message":"2","index":0,"email":"c","reason":"EMAIL_TAKEN"}]}`),
		func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Gatehouse-Stored-Messages", "1")
			problem(400, "INVALID_ARGUMENT")(w, r)
		},
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v1/users:import" {
			if r.Header.Get("Content-Type") != "application/x-ndjson" {
				t.Errorf("sent as %s", r.Header.Get("Content-Type"))
			}
			sent = append(sent, nil)
			for lines := json.NewDecoder(r.Body); ; {
				var m rest.Importing
				if err := lines.Decode(&m); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Error(err)
					break
				}
				sent[len(sent)-1] = append(sent[len(sent)-1], m)
			}
		}
		answers[0](w, r)
		answers = answers[1:]
	}))
	t.Cleanup(s.Close)
	c := &rest.Client{URL: s.URL, HTTP: s.Client(), Pause: time.Millisecond}
	if err := c.SignIn(t.Context(), "a@example.com", "p"); err != nil {
		t.Fatal(err)
	}
	messages := []rest.Importing{
		{OrganizationID: "o", Users: []rest.ImportedUser{{Email: "a", DisplayName: "A"}, {Email: "b"}}}, {OrganizationID: "o", Users: []rest.ImportedUser{{Email: "c"}}},
	}
	var told []string
	got, err := c.Import(t.Context(), messages, func(err error) { told = append(told, err.Error()) })
	want := rest.Imported{Created: 2, Exists: 1, Conflicts: 1, Refusals: []rest.Refusal{{Message: 2, Email: "c", Reason: "EMAIL_TAKEN"}}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if !slices.Equal(told, []string{"the gateway answers 503 SHUTTING_DOWN: D."}) {
		t.Errorf("told %q", told)
	}
	if diff := cmp.Diff([][]rest.Importing{messages, messages, messages}, sent); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
	_, err = c.Import(t.Context(), messages, func(error) {})
	var refused *rest.Problem
	if !errors.As(err, &refused) || refused.Stored != 1 {
		t.Errorf("refused with %v", err)
	}
}
