package request

import (
	"context"
	"net/netip"
	"strings"
)

// The metadata keys under which the edge says where a request came from. Programs hand both on; who
// is believed is the server's business.
const (
	ClientAddressHeader = "x-gatehouse-client-address"
	ClientAgentHeader   = "x-gatehouse-client-agent"
)

// maxAgent bounds what is kept of a user agent, in bytes.
const maxAgent = 256

// Client is where a request came from, as the edge saw it. Both are personal.
type Client struct {
	Address string // IP address in its one form; empty when it has none
	Agent   string // what it calls itself: printable ASCII, at most 256 bytes
}

// NewClient returns the client at an address that calls itself agent.
func NewClient(address netip.Addr, agent string) Client {
	c := Client{Agent: printable(agent)}
	if address.IsValid() {
		c.Address = address.Unmap().WithZone("").String()
	}
	return c
}

// ParseClient reads the values of both metadata keys. What is not exactly one address, or one
// agent, is left out.
func ParseClient(addresses, agents []string) Client {
	var address netip.Addr
	if len(addresses) == 1 {
		address, _ = netip.ParseAddr(addresses[0]) // what is not one stays invalid
	}
	agent := ""
	if len(agents) == 1 {
		agent = agents[0]
	}
	return NewClient(address, agent)
}

// printable returns what metadata, a store and a terminal may hold of a text.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s[:min(len(s), 4*maxAgent)])
	return strings.TrimSpace(s[:min(len(s), maxAgent)])
}

// WithClient returns a context that carries where the request came from.
func WithClient(ctx context.Context, c Client) context.Context {
	k := of(ctx)
	k.client = c
	return with(ctx, k)
}

// ClientOf returns where the request came from; zero when nobody who knows it has said so.
func ClientOf(ctx context.Context) Client { return of(ctx).client }
