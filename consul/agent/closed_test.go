package agent_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gatehouse/gatehouse/consul/agent"
	"github.com/gatehouse/gatehouse/internal/testkit/consultest"
)

// What a process without a certificate, or with one but without a token, gets of an agent that has
// a service's private key in its memory: nothing (R87).
func TestTheAgentGivesNothingAway(t *testing.T) {
	o := consultest.NewOneMachine(t)
	if err := o.Agent().ServiceRegister(&api.AgentServiceRegistration{Name: "auth", Port: 1, Connect: &api.AgentServiceConnect{Native: true}}); err != nil {
		t.Fatal(err)
	}
	client := func(certificates ...tls.Certificate) *http.Client {
		return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, Certificates: certificates}}}
	}
	own, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	leaf := "/v1/agent/connect/ca/leaf/auth"
	for _, path := range []string{leaf, "/v1/agent/self", "/v1/catalog/services", "/v1/agent/connect/ca/roots", "/v1/status/leader"} {
		for _, scheme := range []string{"http", "https"} {
			if answer, err := client().Get(scheme + "://" + o.HTTPS + path); err == nil && answer.StatusCode != http.StatusBadRequest {
				t.Errorf("%s without a certificate over %s: %s", path, scheme, answer.Status)
			}
		}
	}
	get := func(path, token string) (int, string) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+o.HTTPS+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			request.Header.Set("X-Consul-Token", token)
		}
		answer, err := client(own).Do(request)
		if err != nil {
			t.Fatalf("%s with the client's certificate: %v", path, err)
		}
		defer func() { _ = answer.Body.Close() }()
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, string(body)
	}
	for _, token := range []string{o.Token, ""} { // nobody gets a private key here, and none is in the cache for the next
		for _, path := range []string{leaf, leaf + "?cached", "/v1/agent/connect/ca/leaf/", "/v1/agent//connect/ca/leaf/auth", "/v1/agent/connect/ca/leaf%2Fauth"} {
			if status, body := get(path, token); status != http.StatusForbidden && status != http.StatusNotFound {
				t.Errorf("%s with a certificate and the token %q: %d %s", path, token, status, body)
			}
		}
	}
	for path, want := range map[string]string{"/v1/catalog/services": "{}", "/v1/agent/services": "{}", "/v1/catalog/nodes": "[]"} {
		if status, body := get(path, ""); status != http.StatusOK || string(bytes.TrimSpace([]byte(body))) != want {
			t.Errorf("%s with a certificate and no token: %d %s, want %s", path, status, body, want)
		}
	}
	if status, _ := get("/v1/agent/self", o.Token); status != http.StatusOK {
		t.Errorf("with a certificate and the token: %d", status)
	}
}

// First bytes of a connection to the port between servers (Consul, agent/pool): which protocol
// follows.
const (
	rpcConsul         = 0
	rpcRaft           = 1
	rpcTLS            = 3
	rpcMultiplex      = 4
	rpcSnapshot       = 5
	rpcTLSInsecure    = 7
	rpcGRPC           = 8
	rpcRaftForwarding = 9
)

// The port between servers takes nothing without a certificate, and with the operator's no raft
// (R87).
func TestThePortBetweenServersIsClosed(t *testing.T) {
	o := consultest.NewOneMachine(t)
	for _, kind := range []byte{rpcConsul, rpcRaft, rpcMultiplex, rpcSnapshot, rpcGRPC, rpcRaftForwarding} {
		if err := heldOpen(o.RPC, nil, kind, patience); err == nil {
			t.Errorf("protocol %d is spoken without TLS", kind)
		}
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(o.Certificates.CA))
	strange, err := agent.NewCertificates(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		cert, key string
		kind      byte
		open      bool
	}{
		"raft without a certificate":         {"", "", rpcRaft, false},
		"RPC without a certificate":          {"", "", rpcConsul, false},
		"raft with another CA's":             {strange.ServerCert, strange.ServerKey, rpcRaft, false},
		"raft with the operator's":           {o.Certificates.ClientCert, o.Certificates.ClientKey, rpcRaft, false},
		"raft forwarding, with the same":     {o.Certificates.ClientCert, o.Certificates.ClientKey, rpcRaftForwarding, false},
		"snapshots, with the same":           {o.Certificates.ClientCert, o.Certificates.ClientKey, rpcSnapshot, true}, // asks for a token
		"raft with the server's, to compare": {o.Certificates.ServerCert, o.Certificates.ServerKey, rpcRaft, true},
	} {
		config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool, ServerName: "server.dc1.consul"}
		if c.cert != "" {
			pair, err := tls.X509KeyPair([]byte(c.cert), []byte(c.key))
			if err != nil {
				t.Fatal(err)
			}
			config.Certificates = []tls.Certificate{pair}
		}
		wait := patience
		if c.open {
			wait = silence
		}
		if err := heldOpen(o.RPC, config, c.kind, wait); (err == nil) != c.open {
			t.Errorf("%s: %v, want open: %v", name, err, c.open)
		}
	}
}

// How long a connection that must be ended may stay, and one that must stay is looked at.
const (
	patience = 15 * time.Second
	silence  = time.Second
)

// heldOpen begins a protocol and finds out whether the agent ends the connection within the time.
// Silence is what it answers when it waits for more.
func heldOpen(address string, config *tls.Config, kind byte, wait time.Duration) error {
	conn, err := connect(address, config, rpcTLS)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write([]byte{kind}); err != nil {
		return err
	}
	if err := conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 1))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return err
}

// connect shakes hands as the protocol of that first byte wants it, where there is a config.
func connect(address string, config *tls.Config, kind byte) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	if config == nil {
		return conn, nil
	}
	if _, err := conn.Write([]byte{kind}); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	secured := tls.Client(conn, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return secured, nil
}

// One protocol of that port asks for no certificate: by it agents ask to be given one. It has two
// methods, both switched off (R87).
func TestNobodyIsGivenACertificateOfAnAgent(t *testing.T) {
	o := consultest.NewOneMachine(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id := &url.URL{Scheme: "spiffe", Host: "11111111-2222-3333-4444-555555555555.consul", Path: "/agent/client/dc/dc1/id/stranger"}
	raw, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{URIs: []*url.URL{id}}, key)
	if err != nil {
		t.Fatal(err)
	}
	csr := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: raw}))
	var config []byte // that one is protobuf within msgpack
	for field, text := range map[protowire.Number]string{1: "dc1", 2: "stranger", 5: "a.b.c", 7: csr} {
		config = protowire.AppendString(protowire.AppendTag(config, field, protowire.BytesType), text)
	}
	datacenter := msgpackMap("Datacenter", "dc1")
	for method, c := range map[string]struct {
		body []byte
		want string
	}{
		"AutoEncrypt.Sign":                {msgpackMap("Datacenter", "dc1", "CSR", csr), "AutoEncrypt.AllowTLS must be enabled"},
		"AutoConfig.InitialConfiguration": {msgpack(string(config)), "Auto Config is disabled"},
		"ConnectCA.Roots":                 {datacenter, "rpc: can't find service"},
		"Catalog.ListServices":            {datacenter, "rpc: can't find service"},
	} {
		conn, err := connect(o.RPC, &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true}, rpcTLSInsecure)
		if err != nil {
			t.Fatalf("%s: %v", method, err)
		}
		if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(append(msgpackMap("ServiceMethod", method), c.body...)); err != nil {
			t.Fatalf("%s: %v", method, err)
		}
		answer := make([]byte, 4096)
		n, err := conn.Read(answer)
		if err != nil || !bytes.Contains(answer[:n], []byte(c.want)) {
			t.Errorf("%s without a certificate: %v %q, want %q", method, err, answer[:n], c.want)
		}
		_ = conn.Close()
	}
}

// msgpackMap writes a map of names and values.
func msgpackMap(pairs ...string) []byte {
	out := []byte{0x80 | byte(len(pairs)/2)}
	for _, text := range pairs {
		out = append(out, msgpack(text)...)
	}
	return out
}

func msgpack(text string) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{0xda}, uint16(len(text))), text...)
}
