package verify

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/nomad/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/host"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// Others on the host's bridge reach what is not on loopback: that may be what the job declares.
func TestUndeclaredSockets(t *testing.T) {
	declared := map[int]bool{9102: true, 25001: true}
	for address, want := range map[string]bool{
		"tcp 127.0.0.1:8081": false, "tcp 127.0.0.2:19001": false, "tcp [::1]:8481": false, "udp 127.0.0.1:53": false,
		"tcp 0.0.0.0:25001": false, "tcp [::]:9102": false, "tcp 172.26.64.5:25001": false,
		"tcp 0.0.0.0:8081": true, "tcp [::]:8481": true, "tcp 172.26.64.5:8081": true, "udp 0.0.0.0:25001": true,
	} {
		network, text, _ := strings.Cut(address, " ")
		found := undeclared("shop", []host.Listener{{Network: network, Address: netip.MustParseAddrPort(text)}}, declared)
		if (len(found) == 1) != want || want && !strings.Contains(found[0], address) {
			t.Errorf("%s: %q", address, found)
		}
	}
}

// The ports that an allocation has are asked from Nomad, the sockets from the kernel; an allocation
// of which either does not answer has not been looked at.
func TestSocketsOfAllocations(t *testing.T) {
	listener, err := net.Listen("tcp4", "0.0.0.0:0")
	check.NoError(t, err)
	defer func() { _ = listener.Close() }()
	port := listener.Addr().(*net.TCPAddr).Port
	ports := []api.PortMapping{{Label: "connect-proxy-shop", Value: 25001}, {Label: "envoy_metrics", Value: 25002, To: port}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/allocation/here") {
			http.Error(w, "alloc not found", http.StatusNotFound)
			return
		}
		_ = json.NewEncoder(w).Encode(api.Allocation{AllocatedResources: &api.AllocatedResources{Shared: api.AllocatedSharedResources{Ports: ports}}})
	}))
	defer server.Close()
	client, err := api.NewClient(&api.Config{Address: server.URL})
	check.NoError(t, err)
	g := &ground{entered: []entered{
		{instance: instance{name: "shop@here"}, allocation: "here", pid: os.Getpid()},
		{instance: instance{name: "shop@unknown"}, allocation: "unknown", pid: os.Getpid()},
		{instance: instance{name: "shop@gone"}, allocation: "here", pid: 1 << 30},
	}}
	open := func() bool {
		said := fmt.Sprintf("shop@here somebody listens on tcp 0.0.0.0:%d,", port)
		found := (&Nomad{Client: client}).sockets(t.Context(), g)
		return slices.ContainsFunc(found, func(text string) bool { return strings.Contains(text, said) })
	}
	if open() {
		t.Error("a declared port is an open one")
	}
	if untried := strings.Join(g.untried, "\n"); g.looked != 1 || !strings.Contains(untried, "shop@unknown") || !strings.Contains(untried, "shop@gone") {
		t.Errorf("%d were looked at, not tried:\n%s", g.looked, untried)
	}
	ports = ports[:1]
	if !open() {
		t.Error("a port that nobody declares is not found")
	}
	g.untried = nil
	if found := (*Nomad)(nil).sockets(t.Context(), g); len(found) != 0 || len(g.untried) != 1 {
		t.Errorf("without Nomad: %q, not tried %q", found, g.untried)
	}
}
