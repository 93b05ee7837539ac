package middleware

import (
	"net/http"
	"net/netip"
	"strings"

	"github.com/gatehouse/gatehouse/internal/request"
)

const forwardedFor = "X-Forwarded-For"

// clientAddress finds out who the client is: the peer, or what a trusted proxy says in
// X-Forwarded-For (R55). From the right, the first address that is not a trusted proxy is the
// client; what stands left of it, it could have written itself.
func clientAddress(trusted []netip.Prefix) step {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			x := exchangeOf(r.Context())
			if peer, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
				x.client = canonical(peer.Addr())
			}
			if within(trusted, x.client) {
				x.client = forwarded(r.Header.Values(forwardedFor), trusted, x.client)
			}
			c := request.NewClient(x.client, r.UserAgent(), r.Header.Get("Accept-Language")) // for the trail (R90) and for mails
			next.ServeHTTP(w, r.WithContext(request.WithClient(r.Context(), c)))
		})
	}
}

// forwarded walks the list from the right. What is not an address ends the walk: the proxy that
// passed it on is then the client.
func forwarded(values []string, trusted []netip.Prefix, peer netip.Addr) netip.Addr {
	hops := strings.Split(strings.Join(values, ","), ",")
	client := peer
	for i := len(hops) - 1; i >= 0; i-- {
		addr, err := hop(hops[i])
		if err != nil {
			return client
		}
		if client = addr; !within(trusted, client) {
			return client
		}
	}
	return client
}

// hop reads one element of the list. Some balancers write the client's port behind its address, as
// in 203.0.113.7:51234 or [2001:db8::1]:443; it must not make every connection a client of its own,
// nor all clients one.
func hop(text string) (netip.Addr, error) {
	text = strings.Trim(text, " \t")
	if strings.HasSuffix(text, "]") {
		text += ":0" // brackets without a port
	}
	if withPort, err := netip.ParseAddrPort(text); err == nil {
		return canonical(withPort.Addr()), nil
	}
	addr, err := netip.ParseAddr(text)
	return canonical(addr), err
}

// canonical is the one form of an address.
func canonical(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }

func within(prefixes []netip.Prefix, addr netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
