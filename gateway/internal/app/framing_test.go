package app_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// rawAnswer is what a raw connection answered to one request.
type rawAnswer struct {
	status int // 0: the connection was closed without a response
	body   string
	closed bool // the server closed the connection afterwards
	err    error
}

// exchange sends bytes over TCP and reads the first response, and whether the connection ends after
// it.
func exchange(t *testing.T, r *running, text string) rawAnswer {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, text); err != nil {
		return rawAnswer{closed: true, err: err}
	}
	return readAnswer(conn)
}

func readAnswer(conn net.Conn) rawAnswer {
	reader := bufio.NewReader(conn)
	resp, err := http.ReadResponse(reader, nil)
	if err != nil {
		return rawAnswer{closed: !errors.Is(err, os.ErrDeadlineExceeded), err: err}
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return rawAnswer{status: resp.StatusCode, closed: true, err: err}
	}
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	_, err = reader.ReadByte()
	return rawAnswer{status: resp.StatusCode, body: string(body), closed: errors.Is(err, io.EOF) || resp.Close, err: err}
}

// R58: no framing that two programs could read differently is answered with success and followed by another request.
func TestFraming(t *testing.T) {
	r := start(t, nil)
	const signIn = "POST /api/v1/auth/sign-in HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
	const body = `{"email":"x","password":"x"}` // 28 octets; 401 when it is understood
	smuggled := "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
	if a := exchange(t, r, signIn+fmt.Sprintf("Connection: close\r\nContent-Length: %d\r\n\r\n", len(body))+body); a.status != http.StatusUnauthorized {
		t.Fatalf("the control: %d %s %v", a.status, a.body, a.err)
	}
	for name, text := range map[string]string{
		"two Content-Length":       signIn + "Content-Length: 28\r\nContent-Length: 5\r\n\r\n" + body,
		"list of Content-Length":   signIn + "Content-Length: 28, 5\r\n\r\n" + body,
		"Content-Length +":         signIn + "Content-Length: +28\r\n\r\n" + body,
		"Content-Length hex":       signIn + "Content-Length: 0x1c\r\n\r\n" + body,
		"Content-Length -":         signIn + "Content-Length: -1\r\n\r\n" + body,
		"Content-Length empty":     signIn + "Content-Length: \r\n\r\n" + body,
		"Content-Length huge":      signIn + "Content-Length: 99999999999999999999\r\n\r\n" + body,
		"TE xchunked":              signIn + "Transfer-Encoding: xchunked\r\n\r\n1c\r\n" + body + "\r\n0\r\n\r\n",
		"TE twice":                 signIn + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n1c\r\n" + body + "\r\n0\r\n\r\n",
		"TE list":                  signIn + "Transfer-Encoding: chunked, identity\r\n\r\n1c\r\n" + body + "\r\n0\r\n\r\n",
		"TE vertical tab":          signIn + "Transfer-Encoding: \x0bchunked\r\n\r\n1c\r\n" + body + "\r\n0\r\n\r\n",
		"TE gzip":                  signIn + "Transfer-Encoding: gzip, chunked\r\n\r\n1c\r\n" + body + "\r\n0\r\n\r\n",
		"space before colon":       signIn + "Content-Length : 28\r\n\r\n" + body,
		"TE space before colon":    signIn + "Transfer-Encoding : chunked\r\n\r\n1c\r\n" + body + "\r\n0\r\n\r\n",
		"bare CR in a header":      signIn + "X: a\rb\r\nContent-Length: 28\r\n\r\n" + body,
		"NUL in a header":          signIn + "X: a\x00b\r\nContent-Length: 28\r\n\r\n" + body,
		"NUL in a name":            signIn + "X\x00: a\r\nContent-Length: 28\r\n\r\n" + body,
		"folded header":            "GET /livez HTTP/1.1\r\n Host: x\r\n\r\n",
		"no Host":                  "GET /livez HTTP/1.1\r\n\r\n",
		"two Hosts":                "GET /livez HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
		"bad Host":                 "GET /livez HTTP/1.1\r\nHost: x y\r\n\r\n",
		"chunk size bad":           signIn + "Transfer-Encoding: chunked\r\n\r\nzz\r\n" + body + "\r\n0\r\n\r\n",
		"chunk size negative":      signIn + "Transfer-Encoding: chunked\r\n\r\n-1c\r\n" + body + "\r\n0\r\n\r\n",
		"chunk size prefix":        signIn + "Transfer-Encoding: chunked\r\n\r\n0x1c\r\n" + body + "\r\n0\r\n\r\n",
		"chunk size overflow":      signIn + "Transfer-Encoding: chunked\r\n\r\n1000000000000001c\r\n" + body + "\r\n0\r\n\r\n",
		"chunk too long":           signIn + "Transfer-Encoding: chunked\r\n\r\n10\r\n" + body + "\r\n0\r\n\r\n",
		"no CRLF after chunk":      signIn + "Transfer-Encoding: chunked\r\n\r\n1c\r\n" + body + "0\r\n\r\n",
		"bare LF after chunk size": signIn + "Transfer-Encoding: chunked\r\n\r\n1c\n" + body + "\r\n0\r\n\r\n",
		"HTTP/1.2":                 "GET /livez HTTP/1.2x\r\nHost: x\r\n\r\n",
		"no version":               "GET /livez\r\nHost: x\r\n\r\n",
		"space in the target":      "GET /live z HTTP/1.1\r\nHost: x\r\n\r\n",
		"tab in the target":        "GET /live\tz HTTP/1.1\r\nHost: x\r\n\r\n",
		"relative target":          "GET livez HTTP/1.1\r\nHost: x\r\n\r\n",
		"HTTP/2 preface":           "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"CL and TE":                signIn + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n1c\r\n" + body + "\r\n0\r\n\r\n",
		"TE and CL":                signIn + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n1c\r\n" + body + "\r\n0\r\n\r\n",
		"TE in HTTP/1.0":           strings.Replace(signIn, "HTTP/1.1", "HTTP/1.0", 1) + "Transfer-Encoding: chunked\r\n\r\n1c\r\n" + body + "\r\n0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			a := exchange(t, r, text+smuggled)
			refused := a.status == 400 || a.status == 501 || a.status == 505 || a.status == 0
			answered := a.status == 401 && (name == "CL and TE" || name == "TE and CL" || name == "TE in HTTP/1.0") // then closed
			if !refused && !answered {
				t.Errorf("status %d: %s", a.status, a.body)
			}
			if !a.closed {
				t.Errorf("status %d and the connection stays open: what follows would be read as a request (%v)", a.status, a.err)
			}
		})
	}
}

// A GET whose body is refused does not leave that body to be read as the next request.
func TestRefusedBodiesAreConsumedOrCut(t *testing.T) {
	r := start(t, nil)
	inner := "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprintf(conn, "GET /api/v1/users/x HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%sGET /livez HTTP/1.1\r\nHost: x\r\n\r\n", len(inner), inner)
	reader := bufio.NewReader(conn)
	for _, want := range []int{401, 200} {
		resp, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		if resp.StatusCode != want {
			t.Errorf("status %d, want %d", resp.StatusCode, want)
		}
	}
}

// R54: a header block of more than 32 KiB is refused, one below is not.
func TestHugeHeaders(t *testing.T) {
	r := start(t, nil)
	for size, want := range map[int]int{24 << 10: 200, 40 << 10: 431, 1 << 20: 431} {
		a := exchange(t, r, "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: "+strings.Repeat("a", size)+"\r\n\r\n")
		if a.status != want && !(want == 431 && a.status == 0) { // a reset may overtake the response
			t.Errorf("%d bytes: status %d, want %d", size, a.status, want)
		}
	}
	if a := exchange(t, r, "GET /livez HTTP/1.1\r\nHost: x\r\n"+strings.Repeat("X: a\r\n", 20000)+"\r\n"); a.status != 431 && a.status != 0 {
		t.Errorf("20,000 header fields: %d", a.status)
	}
}

// R54: clients that send slowly are cut within 10 s, headers and bodies alike; a whole request afterwards is not disturbed.
func TestSlowClients(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 10 s; run without -short")
	}
	r := start(t, nil)
	for name, text := range map[string]string{
		"header":       "GET /livez HTTP/1.1\r\nHost: x\r\nX: ",
		"request line": "GET /live",
		"body":         "POST /api/v1/auth/sign-in HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
		"chunked body": "POST /api/v1/auth/sign-in HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n{",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			began := time.Now()
			_ = conn.SetDeadline(began.Add(30 * time.Second))
			stop := make(chan struct{})
			defer close(stop)
			_, _ = io.WriteString(conn, text)
			go drip(conn, stop)
			a := readAnswer(conn)
			if took := time.Since(began); took > 13*time.Second || !a.closed {
				t.Errorf("cut after %s: %+v", took, a)
			}
			// net/http reads a request line that was cut off as a malformed one.
			if a.status != 0 && a.status != http.StatusRequestTimeout && !(name == "request line" && a.status == http.StatusBadRequest) {
				t.Errorf("status %d: %s", a.status, a.body)
			}
		})
	}
}

// drip sends a byte a second.
func drip(conn net.Conn, stop <-chan struct{}) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
			if _, err := io.WriteString(conn, "a"); err != nil {
				return
			}
		}
	}
}
