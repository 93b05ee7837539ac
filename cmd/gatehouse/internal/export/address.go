package export

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"
)

// errNotPublic is that an address is one that a webhook may not have.
var errNotPublic = errors.New("not an address of the public network")

// special are ranges that lead to machines of one's own, or to an IPv4 address inside of them
// (IANA's registries of special-purpose addresses), and that netip has no word for.
func special() []netip.Prefix {
	var ranges []netip.Prefix
	for _, text := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
		"64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "fec0::/10",
	} {
		ranges = append(ranges, netip.MustParsePrefix(text))
	}
	return ranges
}

// public reports whether an address is one of the public network.
func public(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	return ip.IsGlobalUnicast() && !ip.IsPrivate() && !slices.ContainsFunc(special(), func(p netip.Prefix) bool { return p.Contains(ip) })
}

// publicOnly refuses a connection to an address that is not public, after its name was resolved and
// for each connection anew (R61).
func publicOnly(_ context.Context, _, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !public(at.Addr()) {
		return fmt.Errorf("%s is %w: allow it with --allow-private when the receiver is yours", address, errNotPublic)
	}
	return nil
}

// ofThisMachine reports whether a host is this machine by its name or address.
func ofThisMachine(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// keyOf decodes a secret of Standard Webhooks.
func keyOf(secret string) ([]byte, error) {
	text, ok := strings.CutPrefix(strings.TrimSpace(secret), "whsec_")
	if !ok {
		return nil, errors.New("it does not begin with whsec_")
	}
	return base64.StdEncoding.DecodeString(text)
}
