package app_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	auditv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1"
)

// vanish makes the client's machine as good as gone: from now on its socket neither takes,
// acknowledges nor resets anything.
func vanish(t *testing.T, conn net.Conn) {
	t.Helper()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	drop := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}} // keep no byte of any segment
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &drop[0]})
	})
	if err != nil || failed != nil {
		t.Fatal(err, failed)
	}
}

// R91: a client that vanishes, as phones do, gives the place of its tail back within 30 s, whether
// or not there is something to send.
func TestTailsOfVanishedClients(t *testing.T) {
	t.Parallel()
	for name, busy := range map[string]bool{"nothing to send": false, "events to send": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, map[string]string{"GATEHOUSE_GATEWAY_STREAMS_PER_SUBJECT": "1"})
			present := r.tail(request{bearer: r.bearer("present"), path: "?actor_id=present"})
			present.message()
			r.vanishingTail(t)
			free := func() bool {
				return r.do(request{method: "HEAD", path: tailPath, bearer: r.auditor()}).status == http.StatusOK
			}
			if free() {
				t.Fatal("the place is not taken")
			}
			began, happened := time.Now(), event("1")
			happened.Actor = &auditv1.Actor{Id: "present"}
			if busy {
				r.Audit.Add(happened)
			}
			check.Within(t, 40*time.Second, "the place is free", func() error {
				if !free() {
					return errors.New("it is taken")
				}
				return nil
			})
			if took := time.Since(began); took > 30*time.Second {
				t.Errorf("the place was free after %s", took)
			}
			if !busy {
				r.Audit.Add(happened)
			}
			if m, _ := present.message(); m.Event == nil || m.Event.ID != "1" {
				t.Errorf("the tail of who stayed says %+v", m)
			}
		})
	}
}

// vanishingTail opens a tail of the auditor's, whose client then is gone.
func (r *running) vanishingTail(t *testing.T) {
	t.Helper()
	dialer := net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: false}}
	conn, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, "GET "+tailPath+" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+r.auditor()+"\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp, err)
	}
	vanish(t, conn)
}
