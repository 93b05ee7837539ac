package e2e_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A process without a certificate gets nothing from Consul's API, which is not there without TLS;
// one with a certificate but no token gets no service and no key, although every sidecar's is in
// the agent's memory (R87).
func TestConsulGivesNothingAway(t *testing.T) {
	s := platformStatus(t)
	plain := net.JoinHostPort("127.0.0.1", strconv.Itoa(8500+portOffset))
	if conn, err := net.Dial("tcp", plain); err == nil {
		conn.Close()
		t.Errorf("somebody listens on %s", plain)
	}
	own, err := tls.LoadX509KeyPair(s.Consul.CertFile, s.Consul.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	client := func(certificates ...tls.Certificate) *http.Client {
		return &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
			TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, Certificates: certificates}}}
	}
	for _, service := range s.Services {
		leaf := s.Consul.Address + "/v1/agent/connect/ca/leaf/" + service.Name
		if a, err := client().Get("https://" + leaf); err == nil {
			t.Errorf("%s without a certificate: %s", leaf, a.Status)
		}
		if a, err := client().Get("http://" + leaf); err == nil && a.StatusCode != http.StatusBadRequest {
			t.Errorf("%s without TLS: %s", leaf, a.Status)
		}
		if a, err := client(own).Get("https://" + leaf); err != nil || a.StatusCode != http.StatusForbidden {
			t.Errorf("%s with a certificate and no token: %v %v", leaf, a, err)
		}
	}
	for _, path := range []string{"/v1/catalog/services", "/v1/agent/services"} {
		a, err := client(own).Get("https://" + s.Consul.Address + path)
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]any{}
		if err := json.NewDecoder(a.Body).Decode(&found); err != nil || len(found) > 0 {
			t.Errorf("%s with a certificate and no token: %v %v", path, found, err)
		}
		a.Body.Close()
	}
	// Between servers: raft, and Consul's own calls.
	for _, protocol := range []byte{0, 1, 4} {
		conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(8300+portOffset)))
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		_, _ = conn.Write([]byte{protocol})
		if _, err := conn.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
			t.Errorf("protocol %d is spoken between servers without a certificate: %v", protocol, err)
		}
		conn.Close()
	}
}

// The consul command works with what `gatehouse env` prints, and with nothing less.
func TestConsulCommandInTheEnvironment(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	lines, err := plat.CLI(ctx, "env")
	if err != nil {
		t.Fatalf("%v: %s", err, lines)
	}
	consul := func(without string) (string, error) {
		cmd := exec.CommandContext(ctx, "bash", "-c", string(lines)+"unset "+without+"\nexec consul catalog services")
		cmd.Env = append(os.Environ(), "PATH="+filepath.Join(plat.Root, ".bin")+":"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := consul("NOTHING"); err != nil || !strings.Contains(out, "identity-sidecar-proxy") {
		t.Errorf("consul catalog services: %v %s", err, out)
	}
	if out, err := consul("CONSUL_CLIENT_CERT CONSUL_CLIENT_KEY"); err == nil {
		t.Errorf("without the certificate: %s", out)
	}
	if out, err := consul("CONSUL_HTTP_TOKEN_FILE"); err == nil && strings.Contains(out, "identity") {
		t.Errorf("without the token: %s", out)
	}
}
