package app_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// expecting sends the head of a request over a connection of its own.
func (r *running) expecting(t *testing.T, head string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, head); err != nil {
		t.Fatal(err)
	}
	return conn, bufio.NewReader(conn)
}

// refusedAtOnce checks that the response to a head comes without 100 Continue and whole, long
// before the limit of 10 s for a body, and that the connection then ends cleanly or takes another
// request. It returns how long the response took.
func (r *running) refusedAtOnce(t *testing.T, head, sent string, status int) time.Duration {
	t.Helper()
	began := time.Now()
	conn, reader := r.expecting(t, head+sent)
	resp, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	body, err := io.ReadAll(resp.Body)
	took := time.Since(began)
	if err != nil || took > 8*time.Second {
		t.Errorf("answered after %s: %v", took, err)
	}
	if resp.StatusCode != status || !strings.Contains(string(body), fmt.Sprintf(`"status":%d`, status)) && status != http.StatusForbidden {
		t.Errorf("%d, want %d: %s", resp.StatusCode, status, body)
	}
	if resp.Close {
		if rest, err := io.ReadAll(reader); err != nil || len(rest) > 0 || time.Since(began) > 9*time.Second {
			t.Errorf("after %s the connection ends with %q, %v", time.Since(began), rest, err)
		}
		return took
	}
	if _, err := io.WriteString(conn, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if again, err := http.ReadResponse(reader, nil); err != nil || again.StatusCode != http.StatusOK {
		t.Errorf("a second request on the connection: %v, %v", again, err)
	}
	return took
}

// R91: who waits for 100 Continue is told no before it has sent a byte of the body, at once.
func TestRefusalsToWhoWaitsToContinue(t *testing.T) {
	r := start(t, map[string]string{"GATEHOUSE_GATEWAY_CORS_ORIGINS": "https://app.example.com", "GATEHOUSE_GATEWAY_STREAMS": "2",
		"GATEHOUSE_GATEWAY_STREAMS_PER_SUBJECT": "1"})
	id := r.Users.Add("a@example.com", "A")
	token := "Authorization: Bearer " + r.bearer(id) + "\r\n"
	auditor := "Authorization: Bearer " + r.auditor() + "\r\n"
	second := r.bearer("second")
	r.tail(request{}).message()
	r.tail(request{bearer: second, path: "?actor_id=second"}).message()
	const (
		asJSON  = "Content-Type: application/json\r\n"
		small   = "Content-Length: 2\r\n"
		large   = "Content-Length: 2097152\r\n"
		chunked = "Transfer-Encoding: chunked\r\n"
		signIn  = "POST /api/v1/auth/sign-in"
	)
	user := " /api/v1/users/" + id
	for name, c := range map[string]struct {
		line, header string
		status       int
	}{
		"no token":                {"PATCH" + user, asJSON + small, 401},
		"no token, chunks":        {"PATCH" + user, asJSON + chunked, 401},
		"no token, much":          {"PATCH" + user, asJSON + "Content-Length: 1048576\r\n", 401},
		"bad token":               {"PATCH" + user, asJSON + small + "Authorization: Bearer x\r\n", 401},
		"foreign origin":          {"OPTIONS" + user, small + "Origin: https://evil.example\r\nAccess-Control-Request-Method: PATCH\r\n", 403},
		"no such path":            {"POST /api/v1/nothing", asJSON + small, 404},
		"no such path, chunks":    {"POST /api/v1/nothing", asJSON + chunked, 404},
		"no such verb":            {"PUT" + user, asJSON + small, 405},
		"too large":               {signIn, asJSON + large, 413},
		"too large, with token":   {"PATCH" + user, token + asJSON + large, 413},
		"long target":             {"POST /" + strings.Repeat("a", 8000), asJSON + small, 414},
		"no type":                 {signIn, small, 415},
		"no type, chunks":         {signIn, chunked, 415},
		"form":                    {signIn, small + "Content-Type: application/x-www-form-urlencoded\r\n", 415},
		"compressed":              {"PATCH" + user, token + asJSON + small + "Content-Encoding: gzip\r\n", 415},
		"reserved header":         {signIn, asJSON + small + "X-User-Id: x\r\n", 400},
		"ambiguous path":          {"POST /api//v1", asJSON + small, 400},
		"unknown parameter":       {signIn + "?x=1", asJSON + small, 400},
		"bad If-Match":            {"PATCH" + user, token + asJSON + small + "If-Match: x\r\n", 400},
		"bad consistency token":   {"PATCH" + user, token + asJSON + small + "Gatehouse-Consistency-Token: x\r\n", 400},
		"GET with a body":         {"GET" + user, token + asJSON + small, 400},
		"GET with chunks":         {"GET" + user, token + asJSON + chunked, 400},
		"DELETE with a body":      {"DELETE" + user, token + asJSON + small, 400},
		"stale etag, weak":        {"PATCH" + user, token + asJSON + small + "If-Match: W/\"v1\"\r\n", 412},
		"too many streams":        {"GET " + tailPath, auditor + small, 429},
		"too many streams at all": {"GET " + tailPath, token + small, 503},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			head := c.line + " HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n" + c.header + "\r\n"
			r.refusedAtOnce(t, head, "", c.status)
			if c.header != chunked && strings.Contains(c.header, small) { // who is too impatient to wait is told the same
				r.refusedAtOnce(t, head, "{}", c.status)
			}
		})
	}
}

// An expectation without content expects nothing: the request is answered as it is without it.
func TestExpectationWithoutContent(t *testing.T) {
	r := start(t, nil)
	id := r.Users.Add("a@example.com", "A")
	for line, status := range map[string]int{
		"GET /api/v1/users/" + id:    http.StatusOK,
		"POST /api/v1/auth/sign-out": http.StatusNoContent,
	} {
		for _, length := range []string{"", "Content-Length: 0\r\n"} {
			for _, expect := range []string{"", "Expect: 100-continue\r\n"} {
				token := "Authorization: Bearer " + r.bearer(id) + "\r\n"
				a := exchange(t, r, line+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"+token+length+expect+"\r\n")
				if a.status != status {
					t.Errorf("%s with %q %q: %d, want %d: %s", line, length, expect, a.status, status, a.body)
				}
			}
		}
	}
}

// R91: a limit is told in the same way, within 1 s: the fastest of five has to be, as the machine
// may be busy.
func TestLimitsToWhoWaitsToContinue(t *testing.T) {
	r := start(t, map[string]string{"GATEHOUSE_GATEWAY_RATE_CREDENTIALS": "0.01", "GATEHOUSE_GATEWAY_BURST_CREDENTIALS": "10"})
	exhaust(t, 20, func() answer { return r.do(request{method: "POST", path: "/api/v1/auth/sign-in", body: `{}`}) })
	const head = "POST /api/v1/auth/sign-in HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
	fastest := time.Hour
	for range 5 {
		fastest = min(fastest, r.refusedAtOnce(t, head, "", http.StatusTooManyRequests))
	}
	if fastest > time.Second {
		t.Errorf("answered after %s", fastest)
	}
}

// A request that is taken is continued, answered, and followed by another on the same connection.
func TestAcceptedExpectation(t *testing.T) {
	r := start(t, nil)
	id := r.Users.Add("a@example.com", "A")
	const body = `{"display_name":"B"}`
	for name, framing := range map[string]struct{ header, sent string }{
		"length": {fmt.Sprintf("Content-Length: %d\r\n", len(body)), body},
		"chunks": {"Transfer-Encoding: chunked\r\n", fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)},
	} {
		t.Run(name, func(t *testing.T) {
			conn, reader := r.expecting(t, "PATCH /api/v1/users/"+id+" HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Type: application/json\r\n"+
				"Authorization: Bearer "+r.bearer(id)+"\r\n"+framing.header+"\r\n")
			line, err := reader.ReadString('\n')
			empty, _ := reader.ReadString('\n')
			if err != nil || line != "HTTP/1.1 100 Continue\r\n" || empty != "\r\n" {
				t.Fatalf("%q %q %v", line, empty, err)
			}
			if _, err := io.WriteString(conn, framing.sent); err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(reader, nil)
			if err != nil {
				t.Fatal(err)
			}
			if text, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK || r.Users.Get(id).GetDisplayName() != "B" {
				t.Errorf("%d %s %v", resp.StatusCode, text, err)
			}
			if name == "chunks" { // ends the connection, see oneChunked
				return
			}
			if _, err := io.WriteString(conn, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			if again, err := http.ReadResponse(reader, nil); err != nil || again.StatusCode != http.StatusOK {
				t.Errorf("a second request on the connection: %v, %v", again, err)
			}
		})
	}
}
