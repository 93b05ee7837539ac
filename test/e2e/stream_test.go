package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// tail is an open stream of events.
type tail struct {
	t     testing.TB
	lines *bufio.Scanner
	close context.CancelFunc
}

// message is one of a stream: an event, or a sign of life.
type message struct {
	Event  *event
	Cursor string
	Error  json.RawMessage
}

// openTail follows what a person did.
func openTail(t testing.TB, base string, p person, query string, header map[string]string) *tail {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/api/v1/audit/events:tail?actor_id="+p.id+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+p.access)
	for name, value := range header {
		r.Header.Set(name, value)
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Body.Close() })
	want := "application/x-ndjson"
	if accept := header["Accept"]; accept != "" {
		want = accept
	}
	if a.StatusCode != http.StatusOK || a.Header.Get("Content-Type") != want {
		t.Fatalf("the stream answers %d %v", a.StatusCode, a.Header)
	}
	return &tail{t: t, lines: bufio.NewScanner(a.Body), close: cancel}
}

// line is the next line; ok is false at the clean end of the body.
func (s *tail) line() (text string, ok bool) {
	s.t.Helper()
	if s.lines.Scan() {
		return s.lines.Text(), true
	}
	if err := s.lines.Err(); err != nil {
		s.t.Fatalf("the stream is cut: %v", err)
	}
	return "", false
}

// next is the next message of NDJSON.
func (s *tail) next() message {
	s.t.Helper()
	text, ok := s.line()
	var m message
	if err := json.Unmarshal([]byte(text), &m); !ok || err != nil || m.Error != nil || m.Cursor == "" {
		s.t.Fatalf("the stream says %q: %v", text, err)
	}
	return m
}

// event is the next message that is not a sign of life.
func (s *tail) event() message {
	for {
		if m := s.next(); m.Event != nil {
			return m
		}
	}
}

// rename makes an event, and returns its request id.
func (p person) rename(t testing.TB, name string) string {
	t.Helper()
	return call(t, http.StatusOK, request{method: "PATCH", path: p.path(), bearer: p.access, body: map[string]string{"display_name": name}}).header.Get("X-Request-Id")
}

// A stream sends each event once and in order, shows that it lives, and goes on where an earlier one ended.
func TestTailAsLines(t *testing.T) {
	t.Parallel()
	p := signUp(t)
	s := openTail(t, plat.URL(), p, "&action=user.updated", nil)
	if m := s.next(); m.Event != nil {
		t.Errorf("the first message is %+v, want where the stream begins", m)
	}
	var requests []string
	for n := range 5 {
		requests = append(requests, p.rename(t, fmt.Sprint("Eve ", n)))
	}
	var cursors []string
	for _, want := range requests {
		m := s.event()
		if m.Event.RequestID != want || m.Event.Action != "user.updated" {
			t.Fatalf("%+v, want the event of request %s", m.Event, want)
		}
		cursors = append(cursors, m.Cursor)
	}
	quiet := time.Now()
	if m := s.next(); m.Event != nil || time.Since(quiet) > 10*time.Second {
		t.Errorf("after %s of silence: %+v, want a sign of life", time.Since(quiet), m)
	}
	s.close()
	requests = append(requests, p.rename(t, "Eve 5"))
	again := openTail(t, plat.URL(), p, "&action=user.updated&cursor="+cursors[2], nil)
	for _, want := range requests[3:] {
		if m := again.event(); m.Event.RequestID != want {
			t.Fatalf("resumed with %+v, want the event of request %s", m.Event, want)
		}
	}
	a := call(t, http.StatusForbidden, request{method: "GET", path: "/api/v1/audit/events:tail?actor_id=" + p.id, bearer: signUp(t).access})
	if a.body["reason"] != "PERMISSION_DENIED" {
		t.Errorf("another's stream: %s", a.raw)
	}
}

// The same for browsers: events with ids, signs of life that only move the id on, and Last-Event-ID to resume.
func TestTailAsServerSentEvents(t *testing.T) {
	t.Parallel()
	p := signUp(t)
	header := map[string]string{"Accept": "text/event-stream"}
	s := openTail(t, plat.URL(), p, "&action=user.updated", header)
	// next reads one record.
	next := func(s *tail) (id string, e *event, alive bool) {
		t.Helper()
		for {
			line, ok := s.line()
			if !ok {
				t.Fatal("the stream ended")
			}
			name, value, _ := strings.Cut(line, ":")
			value = strings.TrimPrefix(value, " ")
			switch {
			case line == "" && id != "":
				return id, e, alive
			case name == "id":
				id = value
			case name == "data":
				var m message
				if err := json.Unmarshal([]byte(value), &m); err != nil || m.Event == nil {
					t.Fatalf("data %q: %v", value, err)
				}
				e = m.Event
			case name == "":
				alive = true
			case line != "":
				t.Fatalf("a line %q", line)
			}
		}
	}
	if id, e, alive := next(s); id == "" || e != nil || !alive {
		t.Errorf("the first record has id %q, event %+v", id, e)
	}
	first, second := p.rename(t, "Eva"), p.rename(t, "Ewa")
	event := func(s *tail) (id, requestID string) {
		t.Helper()
		for {
			if id, e, _ := next(s); e != nil {
				return id, e.RequestID
			}
		}
	}
	seen, got := event(s)
	if got != first {
		t.Errorf("the first event is of request %s, want %s", got, first)
	}
	s.close() // the connection breaks; a browser comes back with what it has seen
	header["Last-Event-ID"] = seen
	if _, got := event(openTail(t, plat.URL(), p, "&action=user.updated", header)); got != second {
		t.Errorf("resumed with the event of request %s, want %s", got, second)
	}
}

// endsWithItsToken opens a stream on a platform whose tokens are short-lived: it ends by itself when the token does, without an error,
// and can be taken up with a new one.
func endsWithItsToken(t testing.TB, base string) {
	t.Helper()
	p := person{email: newEmail()}
	must := func(want int, r request) answer {
		t.Helper()
		a, err := send(base, r)
		if err != nil || a.status != want {
			t.Fatalf("%s %s: %d %v %s", r.method, r.path, a.status, errOr(err), a.raw)
		}
		return a
	}
	credentials := map[string]string{"email": p.email, "password": password}
	user, _ := must(http.StatusCreated, request{method: "POST", path: "/api/v1/auth/sign-up", body: credentials}).body["user"].(map[string]any)
	p.id, _ = user["id"].(string)
	signIn := func() time.Time {
		in := must(http.StatusOK, request{method: "POST", path: "/api/v1/auth/sign-in", body: credentials})
		p.access, _ = in.body["access_token"].(string)
		seconds, _ := in.body["expires_in"].(float64)
		return time.Now().Add(time.Duration(seconds) * time.Second)
	}
	until := signIn()
	s := openTail(t, base, p, "&action=user.updated", nil)
	cursor := s.next().Cursor
	for {
		text, ok := s.line()
		if !ok {
			break
		}
		var m message
		if err := json.Unmarshal([]byte(text), &m); err != nil || m.Error != nil || m.Event != nil {
			t.Fatalf("the stream says %q: %v", text, err)
		}
		cursor = m.Cursor
	}
	if late := time.Since(until); late < -2*time.Second || late > 15*time.Second {
		t.Errorf("the stream ended %s after its token", late)
	}
	signIn()
	requestID := must(http.StatusOK, request{method: "PATCH", path: p.path(), bearer: p.access, body: map[string]string{"display_name": "Eva"}}).header.Get("X-Request-Id")
	if m := openTail(t, base, p, "&action=user.updated&cursor="+cursor, nil).event(); m.Event.RequestID != requestID {
		t.Errorf("resumed with %+v", m.Event)
	}
}
