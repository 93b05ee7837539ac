package middleware

import (
	"net/http"
	"net/netip"
	"strings"
)

const forwardedFor = "X-Forwarded-For"

// clientAddress finds out who the client is: the peer, or what a trusted proxy says in X-Forwarded-For (R55). From the right, the
// first address that is no trusted proxy is the client; what stands left of it, it could have written itself.
func clientAddress(trusted []netip.Prefix) step {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			v := visitOf(r.Context())
			if peer, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
				v.client = peer.Addr().Unmap()
			}
			if within(trusted, v.client) {
				v.client = forwarded(r.Header.Values(forwardedFor), trusted, v.client)
			}
			next.ServeHTTP(w, r)
		})
	}
}

// forwarded walks the list from the right. What is no address ends the walk: the proxy that passed it on is then the client.
func forwarded(values []string, trusted []netip.Prefix, peer netip.Addr) netip.Addr {
	hops := strings.Split(strings.Join(values, ","), ",")
	client := peer
	for i := len(hops) - 1; i >= 0; i-- {
		addr, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			return client
		}
		client = addr.Unmap().WithZone("")
		if !within(trusted, client) {
			return client
		}
	}
	return client
}

func within(prefixes []netip.Prefix, addr netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
