package request

import (
	"context"
	"net/netip"
	"strings"
)

// The metadata keys under which the edge says where a request came from, and in which language it
// wants to be answered. Programs hand all of them on; who is believed is the server's business.
const (
	ClientAddressHeader  = "x-gatehouse-client-address"
	ClientAgentHeader    = "x-gatehouse-client-agent"
	ClientLanguageHeader = "x-gatehouse-client-language"
)

// maxAgent and maxLanguage bound what is kept of a user agent and of an Accept-Language, in bytes.
const maxAgent, maxLanguage = 256, 128

// Client is where a request came from, as the edge saw it. All of it is personal.
type Client struct {
	Address  string // IP address in its one form; empty when it has none
	Agent    string // what it calls itself: printable ASCII, at most 256 bytes
	Language string // its Accept-Language (RFC 9110, section 12.5.4), at most 128 bytes
}

// NewClient returns the client at an address that calls itself agent and wants to be answered in a
// language.
func NewClient(address netip.Addr, agent, language string) Client {
	c := Client{Agent: printable(agent), Language: spoken(language)}
	if address.IsValid() {
		c.Address = address.Unmap().WithZone("").String()
	}
	return c
}

// ParseClient reads the values of the metadata keys. What is not exactly one address, agent or
// language is left out.
func ParseClient(addresses, agents, languages []string) Client {
	address, _ := netip.ParseAddr(only(addresses)) // what is not one stays invalid
	return NewClient(address, only(agents), only(languages))
}

// only returns the one value of a key, "" of none and of several.
func only(values []string) string {
	if len(values) == 1 {
		return values[0]
	}
	return ""
}

// spoken returns an Accept-Language that is one by its characters and its length, else none: half
// of a list may mean something else.
func spoken(s string) string {
	if len(s) > maxLanguage || strings.ContainsFunc(s, func(r rune) bool { return !inLanguages(r) }) {
		return ""
	}
	return strings.TrimSpace(s)
}

// inLanguages reports whether a list of language ranges with weights may have a character.
func inLanguages(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-*,;=. ", r)
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
