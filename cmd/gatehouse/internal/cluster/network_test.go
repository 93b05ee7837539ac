package cluster

import (
	"net"
	"strings"
	"testing"
)

func TestParseNetwork(t *testing.T) {
	n, err := ParseNetwork("10.203.0.0/23")
	if err != nil || n.private.String() != "10.203.0.0/24" || n.public.String() != "10.203.1.0/24" || n.String() != "10.203.0.0/23" {
		t.Errorf("%s: %s and %s, %v", n, n.private, n.public, err)
	}
	for _, text := range []string{"", "10.203.0.0", "10.203.0.0/24", "10.203.1.0/23", "10.203.0.1/23", "fd00::/23"} {
		if _, err := ParseNetwork(text); err == nil || !strings.Contains(err.Error(), "--network=") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestARangeInUseIsRefused(t *testing.T) {
	for text, free := range map[string]bool{"127.0.0.0/23": false, "127.200.0.0/23": false, "203.0.112.0/23": true} {
		n, err := ParseNetwork(text)
		if err != nil {
			t.Fatal(err)
		}
		links, err := net.Interfaces()
		if err != nil {
			t.Fatal(err)
		}
		err = n.checkAddresses(links)
		if (err == nil) != free {
			t.Errorf("%s: %v", text, err)
		}
		if err != nil && (!strings.Contains(err.Error(), "lo has the address 127.0.0.1") || !strings.Contains(err.Error(), "--network")) {
			t.Errorf("%s: %v names neither who has it nor what to do", text, err)
		}
	}
}

// The kernel takes names of links of at most 15 bytes (netdevice(7), IFNAMSIZ).
func TestNamesOfLinks(t *testing.T) {
	for _, name := range append(clientNames(), serverName, siteName) {
		if link := port(name); len(link) > 15 {
			t.Errorf("%s has %d bytes", link, len(link))
		}
	}
}
