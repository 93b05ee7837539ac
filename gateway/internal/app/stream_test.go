package app_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/gateway/internal/gatewaytest"
	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	auditv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1"
)

const tailPath = "/api/v1/audit/events:tail"

// tail is an open stream.
type tail struct {
	t      testing.TB
	answer *http.Response
	lines  *bufio.Scanner
	close  context.CancelFunc
}

// tail opens a stream as an auditor, whose bearer it makes unless the request has one.
func (r *running) tail(q request) *tail {
	r.t.Helper()
	if q.bearer == "" {
		q.bearer = r.auditor()
	}
	ctx, cancel := context.WithCancel(r.t.Context())
	if q.method == "" {
		q.method = http.MethodGet
	}
	hr, err := http.NewRequestWithContext(ctx, q.method, r.url+tailPath+q.path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	hr.Header.Set("Authorization", "Bearer "+q.bearer)
	for name, value := range q.header {
		hr.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(hr)
	if err != nil {
		r.t.Fatal(err)
	}
	s := &tail{t: r.t, answer: resp, lines: bufio.NewScanner(resp.Body), close: func() { cancel(); _ = resp.Body.Close() }}
	r.t.Cleanup(s.close)
	return s
}

// auditor is the token of somebody who may read the whole trail.
func (r *running) auditor() string {
	r.Grants.Allow("auditor", "can_read_audit", "platform:gatehouse")
	return r.bearer("auditor")
}

// next is the next line, which has come before any further one is sent: a message is flushed by itself.
func (s *tail) next() string {
	s.t.Helper()
	if !s.lines.Scan() {
		s.t.Fatalf("the stream ended: %v", s.lines.Err())
	}
	return s.lines.Text()
}

// ended checks that the body ends cleanly, without a further line.
func (s *tail) ended() {
	s.t.Helper()
	if s.lines.Scan() {
		s.t.Fatalf("a line after the end: %s", s.lines.Text())
	}
	if err := s.lines.Err(); err != nil {
		s.t.Fatalf("the body is cut: %v", err)
	}
}

// line is one line of NDJSON.
type line struct {
	Event *struct {
		ID, Action string
		Changes    []any
	}
	Cursor string
	Error  *problem
}

func (s *tail) message() (line, map[string]any) {
	s.t.Helper()
	var (
		l   line
		all map[string]any
	)
	text := s.next()
	if err := json.Unmarshal([]byte(text), &l); err != nil {
		s.t.Fatalf("%v: %s", err, text)
	}
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		s.t.Fatal(err)
	}
	return l, all
}

func event(id string) *auditv1.Event { return &auditv1.Event{Id: id, Action: "user.updated"} }

func TestTailAsLines(t *testing.T) {
	r := start(t, nil)
	r.Audit.Add(event("1"), event("2"))
	s := r.tail(request{header: map[string]string{"Accept": "*/*"}})
	h := s.answer.Header
	if s.answer.StatusCode != http.StatusOK || h.Get("Content-Type") != "application/x-ndjson" || h.Get("Cache-Control") != "no-store" ||
		h.Get("X-Request-Id") == "" || h.Get("X-Content-Type-Options") != "nosniff" {
		t.Fatalf("%d %v", s.answer.StatusCode, h)
	}
	if m, all := s.message(); m.Cursor != "2" || len(all) != 2 || all["end"] != false {
		t.Errorf("the first sign of life is %v", all)
	}
	for _, id := range []string{"3", "4"} {
		r.Audit.Add(event(id))
		if m, all := s.message(); m.Event == nil || m.Event.ID != id || m.Cursor != id || m.Event.Changes == nil || len(all) != 3 || all["end"] != false {
			t.Errorf("event %s arrives as %v", id, all)
		}
	}
	r.Audit.Add(nil)
	if m, all := s.message(); m.Cursor != "5" || len(all) != 2 || all["end"] != false {
		t.Errorf("a sign of life is %v", all)
	}
	again := r.tail(request{path: "?cursor=3"})
	again.message()
	if m, _ := again.message(); m.Event == nil || m.Event.ID != "4" {
		t.Errorf("resumed with %+v", m)
	}
}

func TestTailAsServerSentEvents(t *testing.T) {
	r := start(t, nil)
	r.Audit.Add(event("1"), event("2"), event("3"))
	s := r.tail(request{path: "?cursor=1", header: map[string]string{"Accept": "text/event-stream, */*;q=0.1", "Last-Event-ID": "2"}})
	if kind := s.answer.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Fatalf("content type %q", kind)
	}
	want := func(lines ...string) {
		t.Helper()
		for _, want := range lines {
			if got := s.next(); got != want && (want != "data: " || !strings.HasPrefix(got, want)) {
				t.Fatalf("%q, want %q", got, want)
			}
		}
	}
	want(": alive", "id: 2", "", "id: 3") // Last-Event-ID is later than the cursor of the query
	data := s.next()
	var m line
	if err := json.Unmarshal([]byte(strings.TrimPrefix(data, "data: ")), &m); err != nil || m.Event == nil || m.Event.ID != "3" || m.Cursor != "3" {
		t.Errorf("%v: %s", err, data)
	}
	want("")
	r.Audit.Add(nil, event("line\nbreak"))
	want(": alive", "id: 4", "", "id: 5", "data: ", "")
	r.Audit.Fail(apierr.New(apierr.Unavailable, "SLOW_READER", "resume with the cursor"))
	want("event: error", "data: ")
	s.next()
	s.ended()
}

// What refuses a stream before its first message is an ordinary refusal.
func TestTailRefused(t *testing.T) {
	r := start(t, nil)
	auditor, other := r.auditor(), r.bearer("other")
	for name, c := range map[string]struct {
		q      request
		status int
		reason string
	}{
		"anonymous":          {request{}, 401, "TOKEN_REQUIRED"},
		"no permission":      {request{bearer: other}, 403, "PERMISSION_DENIED"},
		"another's events":   {request{bearer: other, path: "?actor_id=auditor"}, 403, "PERMISSION_DENIED"},
		"unknown parameter":  {request{bearer: auditor, path: "?page_size=1"}, 400, "UNKNOWN_PARAMETER"},
		"bad value":          {request{bearer: auditor, path: "?outcome=maybe"}, 400, ""},
		"bad cursor":         {request{bearer: auditor, path: "?cursor=x"}, 400, "INVALID_ARGUMENT"},
		"long last event id": {request{bearer: auditor, header: map[string]string{"Last-Event-Id": strings.Repeat("1", 65)}}, 400, ""},
		"bad last event id":  {request{bearer: auditor, header: map[string]string{"Last-Event-Id": "\xff"}}, 400, "INVALID_LAST_EVENT_ID"},
		"body":               {request{bearer: auditor, body: "{}"}, 400, "BODY_NOT_ALLOWED"},
		"verb":               {request{bearer: auditor, method: "POST"}, 405, "METHOD_NOT_ALLOWED"},
		"events":             {request{bearer: other, header: map[string]string{"Accept": "text/event-stream"}}, 403, "PERMISSION_DENIED"},
	} {
		t.Run(name, func(t *testing.T) {
			c.q.path = tailPath + c.q.path
			if p := r.refused(c.status, c.q); c.reason != "" && p.Reason != c.reason {
				t.Errorf("%+v", p)
			}
		})
	}
	twice := exchange(t, r, "GET "+tailPath+" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+auditor+"\r\nLast-Event-ID: 1\r\nLast-Event-ID: 2\r\nConnection: close\r\n\r\n")
	if twice.status != http.StatusBadRequest || !strings.Contains(twice.body, "INVALID_LAST_EVENT_ID") {
		t.Errorf("two last event ids: %d %s", twice.status, twice.body)
	}
	r.Audit.Fail(apierr.New(apierr.Unavailable, "AUDIT_DOWN", "later").WithRetryAfter(3 * time.Second))
	if a := r.do(request{path: tailPath, bearer: auditor}); document(t, a).Reason != "AUDIT_DOWN" || a.header.Get("Retry-After") != "3" {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
	r.Audit.Fail(nil)
	r.StopAudit()
	if p := r.refused(http.StatusServiceUnavailable, request{path: tailPath, bearer: auditor}); p.Reason != "UPSTREAM_UNAVAILABLE" {
		t.Errorf("%+v", p)
	}
	if n := r.Audit.Open(); n != 0 {
		t.Errorf("%d streams are left open", n)
	}
}

// One reads one's own events without any permission.
func TestTailOfOneself(t *testing.T) {
	r := start(t, nil)
	s := r.tail(request{bearer: r.bearer("me"), path: "?actor_id=me"})
	if m, _ := s.message(); s.answer.StatusCode != http.StatusOK || m.Cursor != "0" {
		t.Errorf("%d %+v", s.answer.StatusCode, m)
	}
}

// A failure in the middle is the last line, with the problem document; the body still ends cleanly.
func TestTailFailsInTheMiddle(t *testing.T) {
	r := start(t, nil)
	s := r.tail(request{})
	s.message()
	r.Audit.Fail(apierr.New(apierr.ResourceExhausted, "SLOW_READER", "resume with the cursor").WithRetryAfter(time.Second))
	m, _ := s.message()
	if p := m.Error; p == nil || p.Reason != "SLOW_READER" || p.Status != http.StatusTooManyRequests || !strings.HasSuffix(p.Instance, s.answer.Header.Get("X-Request-Id")) {
		t.Errorf("%+v", m)
	}
	s.ended()
	r.Audit.Fail(nil)
	s = r.tail(request{})
	s.message()
	r.StopAudit()
	r.Audit.Add(event("1"))
	if m, _ := s.message(); m.Error == nil || m.Error.Reason != "UPSTREAM_UNAVAILABLE" || strings.Contains(m.Error.Detail, "healthy") {
		t.Errorf("%+v", m)
	}
	s.ended()
}

// The stream ends with its token, without an error: the client comes back with a fresh one.
func TestTailEndsWithTheToken(t *testing.T) {
	r := start(t, nil)
	r.auditor()
	claims := r.Tokens.Claims("auditor")
	claims.ExpiresAt = time.Now().Add(2 * time.Second).Truncate(time.Second)
	s := r.tail(request{bearer: r.Tokens.Sign(claims)})
	s.message()
	s.ended()
	if left := time.Until(claims.ExpiresAt); left > 0 {
		t.Errorf("the stream ended %s before its token", left)
	}
	check.Eventually(t, "the service to end", func() bool { return r.Audit.Open() == 0 })
}

// R22, R63: a session or a right that ends takes the stream with it, and the client learns why.
func TestTailEndsWithTheRight(t *testing.T) {
	r := start(t, nil)
	s := r.tail(request{})
	s.message()
	r.Grants.Revoke("auditor", "can_read_audit", "platform:gatehouse")
	if m, _ := s.message(); m.Error == nil || m.Error.Status != http.StatusForbidden {
		t.Errorf("%+v", m)
	}
	s.ended()
	r.auditor()
	claims := r.Tokens.Claims("auditor")
	s = r.tail(request{bearer: r.Tokens.Sign(claims)})
	s.message()
	r.Tokens.Revoke(claims.SessionID)
	if m, _ := s.message(); m.Error == nil || m.Error.Reason != "TOKEN_REVOKED" {
		t.Errorf("%+v", m)
	}
	s.ended()
}

// A client that goes away takes its stream along, up to the service.
func TestTailEndsWithTheClient(t *testing.T) {
	r := start(t, nil)
	s := r.tail(request{})
	s.message()
	if n := r.Audit.Open(); n != 1 {
		t.Fatalf("%d streams", n)
	}
	s.close()
	check.Eventually(t, "the service to end", func() bool { return r.Audit.Open() == 0 })
	head := r.do(request{method: "HEAD", path: tailPath, bearer: r.auditor()})
	if head.status != http.StatusOK || head.body != "" || head.header.Get("Content-Type") != "application/x-ndjson" {
		t.Errorf("HEAD: %d %v %q", head.status, head.header, head.body)
	}
	check.Eventually(t, "the service to end after HEAD", func() bool { return r.Audit.Open() == 0 })
}

// A program that stops tells its streams, and does not wait for them.
func TestTailEndsWithTheProgram(t *testing.T) {
	services := gatewaytest.Start(t, nil)
	var (
		rest  []byte
		ended = make(chan struct{})
	)
	began := time.Now()
	alive := t.Run("life", func(t *testing.T) {
		r := startOn(t, services, nil)
		check.Eventually(t, "the gateway to be ready", func() bool { return r.do(request{path: "/readyz"}).status == http.StatusOK })
		check.Eventually(t, "the feed", func() bool {
			return r.do(request{path: "/api/v1/audit/events", bearer: r.auditor()}).status == http.StatusOK
		})
		hr, err := http.NewRequest(http.MethodGet, r.url+tailPath, nil)
		if err != nil {
			t.Fatal(err)
		}
		hr.Header.Set("Authorization", "Bearer "+r.auditor())
		resp, err := http.DefaultClient.Do(hr)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			defer close(ended)
			defer resp.Body.Close()
			rest, _ = io.ReadAll(resp.Body)
		}()
	})
	if !alive {
		return // there is no stream to wait for
	}
	<-ended
	if !strings.Contains(string(rest), `{"error":{`) || !strings.Contains(string(rest), "SHUTTING_DOWN") {
		t.Errorf("the stream said %s", rest)
	}
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("the stop waited for the stream: %s", took)
	}
}

// R55: nobody takes all the streams there are.
func TestStreamsAreBounded(t *testing.T) {
	r := start(t, map[string]string{"GATEHOUSE_GATEWAY_STREAMS_PER_SUBJECT": "2", "GATEHOUSE_GATEWAY_STREAMS": "3"})
	first := r.tail(request{})
	r.tail(request{})
	a := r.do(request{path: tailPath, bearer: r.auditor()})
	if document(t, a).Reason != "TOO_MANY_STREAMS" || a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
	if a := r.do(request{path: "/api/v1/audit/events", bearer: r.auditor()}); a.status != http.StatusOK {
		t.Errorf("other requests: %d", a.status)
	}
	second := r.bearer("second")
	r.tail(request{bearer: second, path: "?actor_id=second"}).message()
	if p := r.refused(http.StatusServiceUnavailable, request{path: tailPath + "?actor_id=second", bearer: second}); p.Reason != "TOO_MANY_STREAMS" {
		t.Errorf("%+v", p)
	}
	first.close()
	check.Eventually(t, "the place to be free", func() bool {
		return r.do(request{method: "HEAD", path: tailPath, bearer: r.auditor()}).status == http.StatusOK
	})
}
