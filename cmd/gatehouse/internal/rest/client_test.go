package rest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/rest"
)

// gateway answers one request after the other as the test says, and keeps what was asked.
type gateway struct {
	mu      sync.Mutex
	answers []http.HandlerFunc
	asked   []string // "VERB path?query token body"
}

func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body map[string]string
	_ = json.NewDecoder(r.Body).Decode(&body)
	g.mu.Lock()
	asked := r.Method + " " + r.URL.RequestURI() + " " + strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if len(body) > 0 {
		asked += fmt.Sprint(" ", body)
	}
	g.asked = append(g.asked, asked)
	answer := http.HandlerFunc(http.NotFound)
	if len(g.answers) > 0 {
		answer, g.answers = g.answers[0], g.answers[1:]
	}
	g.mu.Unlock()
	answer(w, r)
}

// start returns a client of a gateway that gives these answers, then 404.
func start(t *testing.T, answers ...http.HandlerFunc) (*gateway, *rest.Client) {
	t.Helper()
	g := &gateway{answers: answers}
	s := httptest.NewServer(g)
	t.Cleanup(s.Close)
	return g, &rest.Client{URL: s.URL + "/", HTTP: s.Client(), Pause: time.Millisecond}
}

func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) }
}

func problem(status int, reason string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"status":%d,"reason":%q,"title":"T","detail":"D."}`, status, reason)
	}
}

func tokens(n int) http.HandlerFunc {
	return says(fmt.Sprintf(`{"access_token":"access-%d","refresh_token":"refresh-%d"}`, n, n))
}

// collect returns a sink and the ids that it got.
func collect() (each func(rest.Event) error, ids *[]string) {
	ids = &[]string{}
	return func(e rest.Event) error {
		*ids = append(*ids, e.ID)
		return nil
	}, ids
}

// expect compares what was asked and what arrived.
func expect(t *testing.T, g *gateway, asked []string, ids, want []string) {
	t.Helper()
	if diff := cmp.Diff(asked, g.asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	if !slices.Equal(ids, want) {
		t.Errorf("events %q, want %q", ids, want)
	}
}

func TestListPages(t *testing.T) {
	g, c := start(t,
		says(`{"events":[{"id":"5","count":"3"},{"id":"4"}],"next_page_token":"p2"}`),
		says(`{"events":[],"next_page_token":"p3"}`),
		says(`{"events":[{"id":"3"},{"id":"2"}],"next_page_token":"p4"}`))
	c.Token = "t"
	each, ids := collect()
	if err := c.ListEvents(t.Context(), url.Values{"actor_id": {"me"}}, 3, each); err != nil {
		t.Error(err)
	}
	expect(t, g, []string{
		"GET /api/v1/audit/events?actor_id=me&page_size=3 t",
		"GET /api/v1/audit/events?actor_id=me&page_size=1&page_token=p2 t",
		"GET /api/v1/audit/events?actor_id=me&page_size=1&page_token=p3 t",
	}, *ids, []string{"5", "4", "3"})
}

func TestListEnds(t *testing.T) {
	g, c := start(t, says(`{"events":[{"id":"1"}]}`))
	each, ids := collect()
	if err := c.ListEvents(t.Context(), url.Values{}, 5000, each); err != nil {
		t.Error(err)
	}
	expect(t, g, []string{"GET /api/v1/audit/events?page_size=1000 "}, *ids, []string{"1"})
}

func TestListSaysWhatTheGatewayAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"a problem":  {problem(403, "PERMISSION_DENIED"), "the gateway answers 403 PERMISSION_DENIED: D."},
		"no problem": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<html>", http.StatusBadGateway) }, "the gateway answers 502 : Bad Gateway"},
		"no JSON":    {says("<html>"), "read a page of events: invalid character '<' looking for beginning of value"},
		"no event":   {says(`{"events":[7]}`), "read an event: json: cannot unmarshal number into Go value of type rest.Event"},
	} {
		_, client := start(t, c.answer)
		each, _ := collect()
		if err := client.ListEvents(t.Context(), url.Values{}, 1, each); err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

// A stream that ends, is cut inside of a line or is refused for now goes on after the last cursor, a sign of life's too; an expired token is
// renewed with the session's refresh token. A refusal ends it.
func TestFollow(t *testing.T) {
	g, c := start(t,
		tokens(1),
		says(`{"event":{"id":"1"},"cursor":"c1"}`+"\n"+`{"event":null,"cursor":"c2"}`+"\n"),
		says(`{"event":{"id":"2"},"cursor":"c3"}`+"\n"+`{"event":{"id":"3"},"cur`),
		problem(401, "TOKEN_EXPIRED"), problem(503, "KEYS_UNAVAILABLE"), // the first refresh meets a gateway that starts
		problem(401, "TOKEN_REQUIRED"), tokens(2),
		says(`{"event":{"id":"3"},"cursor":"c4"}`+"\n"+`{"error":{"status":503,"reason":"TOO_SLOW","detail":"Behind."}}`),
		problem(429, "TOO_MANY_STREAMS"),
		says(`{"event":{"id":"4"},"cursor":"c5"}`+"\n"+`{"error":{"status":403,"reason":"PERMISSION_DENIED","detail":"No longer."}}`))
	if err := c.SignIn(t.Context(), "a@example.com", "p"); err != nil {
		t.Fatal(err)
	}
	each, ids := collect()
	var told []string
	err := c.FollowEvents(t.Context(), url.Values{"action": {"x.y"}}, "c0", each, func(err error) { told = append(told, err.Error()) })
	var refused *rest.Problem
	if !errors.As(err, &refused) || refused.Reason != "PERMISSION_DENIED" {
		t.Errorf("it ends with %v", err)
	}
	tail := "GET /api/v1/audit/events:tail?action=x.y&cursor="
	expect(t, g, []string{
		"POST /api/v1/auth/sign-in  map[email:a@example.com password:p]",
		tail + "c0 access-1",
		tail + "c2 access-1",
		tail + "c3 access-1", "POST /api/v1/auth/refresh  map[refresh_token:refresh-1]",
		tail + "c3 ", "POST /api/v1/auth/refresh  map[refresh_token:refresh-1]",
		tail + "c3 access-2",
		tail + "c4 access-2",
		tail + "c4 access-2",
	}, *ids, []string{"1", "2", "3", "4"})
	if want := []string{
		"read the stream of /api/v1/audit/events:tail: unexpected EOF", "the gateway answers 503 KEYS_UNAVAILABLE: D.",
		"the gateway answers 503 TOO_SLOW: Behind.", "the gateway answers 429 TOO_MANY_STREAMS: D.",
	}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}

// With a token that somebody else gave there is nothing to renew it with; a session that was ended is not begun again.
func TestFollowEndsWithItsSession(t *testing.T) {
	_, c := start(t, problem(401, "TOKEN_EXPIRED"))
	c.Token = "given"
	each, _ := collect()
	silent := func(err error) { t.Error(err) }
	var refused *rest.Problem
	if err := c.FollowEvents(t.Context(), url.Values{}, "", each, silent); !errors.As(err, &refused) || refused.Reason != "TOKEN_EXPIRED" {
		t.Errorf("with a given token: %v", err)
	}
	g, c := start(t, tokens(1), problem(401, "TOKEN_REVOKED"), problem(401, "INVALID_REFRESH_TOKEN"))
	if err := c.SignIn(t.Context(), "a@example.com", "p"); err != nil {
		t.Fatal(err)
	}
	if err := c.FollowEvents(t.Context(), url.Values{}, "", each, silent); !errors.As(err, &refused) || refused.Reason != "INVALID_REFRESH_TOKEN" {
		t.Errorf("after the session: %v", err)
	}
	if err := c.SignOut(t.Context()); err != nil || len(g.asked) != 3 {
		t.Errorf("signing out of no session: %v, %q", err, g.asked)
	}
}

func TestFollowEndsWhenTold(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	_, c := start(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(`{"event":{"id":"1"},"cursor":"c1"}` + "\n"))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	var ids []string
	err := c.FollowEvents(ctx, url.Values{}, "", func(e rest.Event) error {
		ids = append(ids, e.ID)
		cancel()
		return nil
	}, func(err error) { t.Error(err) })
	if err != nil || !slices.Equal(ids, []string{"1"}) {
		t.Errorf("events %q, %v", ids, err)
	}
}

func TestSignOut(t *testing.T) {
	g, c := start(t, tokens(1), func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	if err := c.SignIn(t.Context(), "a@example.com", "p"); err != nil {
		t.Fatal(err)
	}
	if err := c.SignOut(t.Context()); err != nil {
		t.Error(err)
	}
	expect(t, g, []string{"POST /api/v1/auth/sign-in  map[email:a@example.com password:p]", "POST /api/v1/auth/sign-out access-1"}, nil, nil)
}

// Who has a second factor is asked for it, and not where nobody can be. The API writes what is not
// there as null.
func TestSignInWithASecondFactor(t *testing.T) {
	asked := says(`{"challenge":{"token":"c","methods":["totp","recovery_code"],"enrolment":null}}`)
	g, c := start(t, asked, tokens(1), asked, tokens(1), asked, says(`{"challenge":{"token":"c","enrolment":{"secret":"s"}}}`))
	for _, code := range []string{"123456", "ABCD-EFGH-IJKL-MNOP-QRST-UVWX"} {
		c.Code = func() (string, error) { return code, nil }
		if err := c.SignIn(t.Context(), "a@example.com", "p"); err != nil {
			t.Fatal(err)
		}
	}
	c.Code = nil
	for range 2 {
		if err := c.SignIn(t.Context(), "a@example.com", "p"); err == nil || c.Token != "" {
			t.Errorf("%v, with the token %q", err, c.Token)
		}
	}
	const in = "POST /api/v1/auth/sign-in  map[email:a@example.com password:p]"
	expect(t, g, []string{
		in, "POST /api/v1/auth/sign-in/challenge  map[code:123456 token:c]",
		in, "POST /api/v1/auth/sign-in/challenge  map[recovery_code:ABCD-EFGH-IJKL-MNOP-QRST-UVWX token:c]", in, in,
	}, nil, nil)
}
