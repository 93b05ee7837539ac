package middleware

import (
	"net/netip"
	"strings"
	"testing"
)

// FuzzForwardedFor: whatever stands in X-Forwarded-For, the client is the peer or an address of the
// list with nothing but trusted proxies to its right, in a form that two spellings of one address
// share.
func FuzzForwardedFor(f *testing.F) {
	for _, seed := range []string{
		"198.51.100.1", "198.51.100.1:51234", "[2001:db8::1]:443", "[2001:db8::1]", "2001:db8::1", "::ffff:198.51.100.1", "fe80::1%eth0", "[fe80::1%eth0]:1",
		"1.1.1.1, 10.0.0.1:80", `"[::1]:80"`, "unknown", "_hidden", "198.51.100.1:", "[", "]", "[]:0", ":0", ",", " , ", "10.0.0.1,,10.0.0.2", "1.2.3.4:080", "::1:80",
	} {
		f.Add(seed)
	}
	peer := netip.MustParseAddr("10.9.9.9")
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	f.Fuzz(func(t *testing.T, list string) {
		client := forwarded([]string{list}, trusted, peer)
		if !client.IsValid() || client.Zone() != "" || client.Is4In6() {
			t.Fatalf("%q: client %q", list, client)
		}
		hops := strings.Split(list, ",")
		for i := len(hops) - 1; i >= 0 && client != peer; i-- {
			addr, err := hop(hops[i])
			switch {
			case err != nil:
				t.Fatalf("%q: client %s stands left of %q", list, client, hops[i])
			case addr == client:
				return
			case !within(trusted, addr):
				t.Fatalf("%q: client %s stands left of %s", list, client, addr)
			}
		}
		if client != peer {
			t.Fatalf("%q: client %s is not in the list", list, client)
		}
	})
}

// FuzzHop: an address reads the same with and without a port.
func FuzzHop(f *testing.F) {
	f.Add("198.51.100.1", uint16(51234))
	f.Add("2001:db8::1", uint16(443))
	f.Add("::ffff:198.51.100.1", uint16(0))
	f.Fuzz(func(t *testing.T, text string, port uint16) {
		addr, err := netip.ParseAddr(text)
		if err != nil || strings.ContainsAny(addr.Zone(), " \t]") { // no interface has such a name
			return
		}
		plain, err := hop(text)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if withPort, err := hop(netip.AddrPortFrom(addr, port).String()); err != nil || withPort != plain {
			t.Errorf("%q is %s, and with port %d %s, %v", text, plain, port, withPort, err)
		}
	})
}
