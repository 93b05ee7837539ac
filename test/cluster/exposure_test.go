package cluster_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	nomad "github.com/hashicorp/nomad/api"
	"golang.org/x/sys/unix"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// stranger is a job of another namespace that does nothing but be there, on the host HOST.
const stranger = `
job "stranger" {
  group "stranger" {
    constraint {
      attribute = "${node.unique.name}"
      value     = "HOST"
    }
    network {
      mode = "bridge"
    }
    task "idle" {
      driver = "exec"
      config {
        command = "/opt/gatehouse/bin/envoy"
        args    = ["--config-yaml", "{}", "--disable-hot-restart", "--concurrency", "1"]
      }
    }
  }
}`

// stranger runs the job and returns where it is.
func (c *cluster) stranger(t *testing.T, host string) place {
	t.Helper()
	client := c.nomad(t)
	job, err := client.Jobs().ParseHCL(strings.ReplaceAll(stranger, "HOST", host), true)
	check.NoError(t, err)
	elsewhere := &nomad.WriteOptions{Namespace: "default"}
	_, _, err = client.Jobs().Register(job, elsewhere)
	check.NoError(t, err)
	t.Cleanup(func() { _, _, _ = client.Jobs().Deregister("stranger", true, elsewhere) })
	var running *nomad.AllocationListStub
	check.Within(t, time.Minute, "the foreign job runs", func() error {
		all, _, err := client.Jobs().Allocations("stranger", false, &nomad.QueryOptions{Namespace: "default"})
		check.NoError(t, err)
		for _, a := range all {
			if running = a; a.ClientStatus == nomad.AllocClientStatusRunning {
				return nil
			}
		}
		return fmt.Errorf("%d allocations", len(all))
	})
	return c.inside(t, running)
}

// bridge is the host's own address on Nomad's bridge.
const bridge = "172.26.64.1"

// Kinds of ports that somebody on the same host finds open.
const (
	overMTLS = "mTLS"    // of a sidecar
	readyz   = "/readyz" // the only path
	metrics  = "/metrics"
	gateways = "the gateway's port"
	agents   = "an agent's port" // TestAPIsAreClosed asks them
)

// R76: from a foreign allocation on the same host only the gateway's port, /readyz, /metrics, the
// sidecars' metrics and the ports of mTLS answer, and the agents of the host.
func TestWhatAForeignAllocationFinds(t *testing.T) {
	c := running(t)
	c.explains(t)
	c.balance(t)
	from, host := c.stranger(t, withPostgres), withPostgres
	wanted := c.openPorts(t, host)
	addresses := map[string]bool{c.hosts(t)[host].Address: true, bridge: true}
	for address := range wanted {
		ip, _, err := net.SplitHostPort(address)
		check.NoError(t, err)
		addresses[ip] = true
	}
	for ip := range addresses {
		for _, port := range from.open(t, ip) {
			address := net.JoinHostPort(ip, strconv.Itoa(port))
			kind := wanted[address]
			if delete(wanted, address); kind == "" {
				t.Errorf("%s answers", address)
			} else if err := from.harmless(t.Context(), address, kind); err != nil {
				t.Errorf("%s, %s: %v", address, kind, err)
			}
		}
	}
	for address, kind := range wanted {
		t.Errorf("%s, %s, does not answer: the test does not see what it should", address, kind)
	}
}

// openPorts are the addresses that may answer on a host, and what is there.
func (c *cluster) openPorts(t *testing.T, host string) map[string]string {
	t.Helper()
	h, client, all := c.hosts(t)[host], c.nomad(t), map[string]string{}
	for _, port := range []int{8301, 4646} { // gossip and Nomad's API; Consul's API and xDS are on the host's loopback
		all[net.JoinHostPort(h.Address, strconv.Itoa(port))] = agents
	}
	for _, program := range append([]string{"postgres"}, programs...) {
		for _, stub := range c.allocations(t, client, program) {
			if stub.NodeName != host {
				continue
			}
			a, _, err := client.Allocations().Info(stub.ID, nil)
			check.NoError(t, err)
			for _, port := range a.AllocatedResources.Shared.Ports {
				kind := map[string]string{"readyz": readyz, "metrics": metrics, "envoy_metrics": metrics, "https": gateways}[port.Label]
				if strings.HasPrefix(port.Label, "connect-proxy-") {
					kind = overMTLS
				}
				all[net.JoinHostPort(port.HostIP, strconv.Itoa(port.Value))] = kind
				all[net.JoinHostPort(a.NetworkStatus.Address, strconv.Itoa(inner(port)))] = kind
			}
		}
	}
	return all
}

// inner is a port's number inside the allocation: Nomad's own choice when the job names none.
func inner(port nomad.PortMapping) int {
	if port.To > 0 {
		return port.To
	}
	return port.Value
}

// open are the ports of an address that accept a connection.
func (p place) open(t *testing.T, ip string) []int {
	t.Helper()
	var open []int
	to := &unix.SockaddrInet4{Addr: netip.MustParseAddr(ip).As4()}
	check.NoError(t, p.enter(func() error {
		for to.Port = 1; to.Port < 1<<16; to.Port++ {
			socket, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return err
			}
			_ = unix.SetsockoptTimeval(socket, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &unix.Timeval{Sec: 2}) // bounds connect(2)
			err = unix.Connect(socket, to)
			_ = unix.Close(socket)
			switch err {
			case nil:
				open = append(open, to.Port)
			case unix.ECONNREFUSED:
			case unix.EINTR: // by the runtime
				to.Port--
			default:
				return fmt.Errorf("port %d of %s: %w", to.Port, ip, err)
			}
		}
		return nil
	}))
	return open
}

// harmless asks what a port gives to somebody who has nothing to show.
func (p place) harmless(ctx context.Context, address, kind string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	switch kind {
	case overMTLS:
		conn, err := p.dial(ctx, address)
		if err != nil {
			return err
		}
		secure := tls.Client(conn, &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, NextProtos: []string{"h2"}})
		defer func() { _ = secure.Close() }()
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil
		}
		if n, err := secure.Read(make([]byte, 1)); err == nil { // version 1.3: the refusal comes after the client's part
			return fmt.Errorf("it sends %d bytes to a client without a certificate", n)
		}
		return nil
	case readyz, metrics:
		client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, address string) (net.Conn, error) { return p.dial(ctx, address) }}}
		for _, path := range []string{readyz, metrics, "/", "/debug/pprof/", "/config_dump", "/stats"} {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
			if err != nil {
				return err
			}
			resp, err := client.Do(req)
			if err != nil {
				return err
			}
			body, _ := io.ReadAll(resp.Body) // the status says enough
			_ = resp.Body.Close()
			if want := path == kind; want != (resp.StatusCode == http.StatusOK) {
				return fmt.Errorf("%s answers %d: %.100s", path, resp.StatusCode, body)
			}
		}
	}
	return nil
}
