package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// gatehouse is the operator's command against the shared platform, with more environment.
func gatehouse(ctx context.Context, env []string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(plat.Bin, "gatehouse"), append(args, "--state", plat.State)...)
	cmd.Env = append(append(os.Environ(), "PATH="+filepath.Join(plat.Root, ".bin")+":"+os.Getenv("PATH")), env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// What a sidecar refuses is counted by caller, callee and method, and nothing else is.
func TestMeshDenied(t *testing.T) {
	t.Parallel()
	_, conn := prober(t)
	method := "/gatehouse.probe.v1.ProbeService/" + strings.ReplaceAll("M"+uuid.NewString(), "-", "")
	const times = 3
	for range times {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		err := conn.Invoke(ctx, method, &emptypb.Empty{}, &emptypb.Empty{})
		cancel()
		if status.Code(err) != codes.PermissionDenied {
			t.Fatalf("an undeclared call: %v", err)
		}
	}
	// Envoy writes its access log every 10 s.
	check.Within(t, 25*time.Second, "the refused calls are listed", func() error {
		out, err := gatehouse(t.Context(), nil, "mesh", "denied", "--since", "5m", "-o", "json").CombinedOutput()
		if err != nil {
			t.Fatalf("gatehouse mesh denied: %v\n%s", err, out)
		}
		var calls []struct {
			Caller, Callee, Method string
			Count                  int
			Last                   time.Time
		}
		if err := json.Unmarshal(out, &calls); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		for _, c := range calls {
			if c.Method != method || c.Count < times {
				continue
			}
			if c.Caller != "prober" || c.Callee != "probe" || c.Count != times || time.Since(c.Last) > time.Minute {
				t.Errorf("listed as %+v", c)
			}
			return nil
		}
		return fmt.Errorf("not in %s", out)
	})
	out, err := gatehouse(t.Context(), nil, "mesh", "denied", "--since", "5m").CombinedOutput()
	if err != nil || !bytes.HasPrefix(out, []byte("CALLER")) || !bytes.Contains(out, []byte(method)) {
		t.Errorf("on a terminal: %v\n%s", err, out)
	}
}

// A platform on one machine is as doctor wants it, and is asked about no Nomad and no neighbours.
func TestDoctorOfAMachine(t *testing.T) {
	t.Parallel()
	out, err := gatehouse(t.Context(), nil, "doctor").CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("ok       consul-leaf: ")) || !bytes.Contains(out, []byte("ok       proxies-anonymous: ")) ||
		!bytes.Contains(out, []byte(": 0 dangers, ")) || !bytes.Contains(out, []byte(", 0 not asked, ")) || bytes.Contains(out, []byte("nomad-")) {
		t.Errorf("%v\n%s", err, out)
	}
}

// The trail on a terminal: newest events first, and those that happen while one looks.
func TestAuditOnATerminal(t *testing.T) {
	t.Parallel()
	p := signUp(t)
	requestID := p.rename(t, "Eva")
	arrives(t, p, url.Values{"object_id": {p.id}, "action": {"user.updated"}})
	t.Run("list", func(t *testing.T) {
		t.Parallel()
		out, err := gatehouse(t.Context(), []string{"GATEHOUSE_CLI_TOKEN=" + p.access}, "audit", "list", "--object", "user:"+p.id, "--action", "user.updated").CombinedOutput()
		if err != nil || strings.Count(string(out), "\n") != 1 || !strings.Contains(string(out), "user:"+p.id+" → user:"+p.id) {
			t.Errorf("%v\n%s", err, out)
		}
		out, err = gatehouse(t.Context(), []string{"GATEHOUSE_CLI_TOKEN=" + p.access}, "audit", "list", "--actor", p.id, "--request-id", requestID, "-o", "ndjson").CombinedOutput()
		var e event
		if err := json.Unmarshal(out, &e); err != nil || e.RequestID != requestID {
			t.Errorf("%v\n%s", err, out)
		}
		if err != nil {
			t.Error(err)
		}
	})
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		out, err := gatehouse(t.Context(), []string{"GATEHOUSE_CLI_TOKEN=" + p.access}, "audit", "list").CombinedOutput()
		if err == nil || !strings.Contains(string(out), "PERMISSION_DENIED") || strings.Contains(string(out), p.access) {
			t.Errorf("the whole trail, without the right: %v\n%s", err, out)
		}
	})
	t.Run("tail", func(t *testing.T) {
		t.Parallel()
		tailOnATerminal(t)
	})
}

func tailOnATerminal(t *testing.T) {
	t.Helper()
	q := signUp(t)
	secret := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(secret, []byte(password), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, interrupt := context.WithTimeout(t.Context(), time.Minute)
	defer interrupt()
	cmd := gatehouse(ctx, []string{"GATEHOUSE_CLI_PASSWORD_FILE=" + secret}, "audit", "tail", "--email", q.email, "--actor", q.id, "-o", "ndjson")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	seen := make(chan event)
	go func() {
		defer close(seen)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var e event
			if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
				t.Errorf("%v: %s", err, lines.Text())
			}
			if e.Action == "user.updated" {
				seen <- e
			}
		}
	}()
	// The first event that it shows proves that it follows; which one that is depends on when it
	// began.
	made := map[string]bool{}
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for shown := false; !shown; {
		select {
		case e, ok := <-seen:
			if !ok || !made[e.RequestID] {
				t.Fatalf("the tail shows %+v, made were %v\n%s", e, made, complaints.String())
			}
			shown = true
		case <-tick.C:
			made[q.rename(t, fmt.Sprint("Eve ", len(made)))] = true
		}
	}
	interrupt()
	for range seen {
	}
	if err := cmd.Wait(); err != nil && cmd.ProcessState.ExitCode() != 0 {
		t.Errorf("after the interrupt: %v\n%s", err, complaints.String())
	}
	// It has signed out again: the session that it made is ended.
	arrives(t, q, url.Values{"actor_id": {q.id}, "action": {"auth.signed_out"}})
}
