package client

import (
	"net/netip"
	"net/url"
	"strings"
)

// Origin is a web origin that browsers may call from: that of a client.
type Origin struct {
	Origin      string // scheme://host[:port]
	PlatformAPI bool   // of a client with the scope of the platform's own API
}

// checkOrigin refuses what no browser sends as an Origin (RFC 6454, section 6.2) or what should not
// be trusted: pages in clear text from elsewhere than this machine.
func checkOrigin(text string) fault {
	u, f := parseURI(text)
	if f.broken() {
		return f
	}
	if f := checkHost(u); f.broken() {
		return f
	}
	switch {
	case text != u.Scheme+"://"+u.Host:
		return fault{"origin.form", "must end behind host and port, without a path or a slash, such as https://app.example.com"}
	case u.Scheme == "https" && isAddress(u.Hostname()):
		return fault{"uri.host", "must have a host name behind https: no page of an address is let in"}
	case u.Scheme == "https" && u.Port() == "443", u.Scheme == "http" && u.Port() == "80":
		return fault{"origin.port", "must not name the port that the scheme has anyway: browsers leave it out"}
	}
	return fault{}
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// checkAudience refuses what is no absolute URI (RFC 8707, section 2), and the names of the
// platform itself: a token for those is what ScopePlatform grants.
func checkAudience(text string, own []string) fault {
	u, f := parseURI(text)
	if f.broken() {
		return f
	}
	if u.Opaque == "" && u.Host == "" {
		return fault{"uri.form", "must be an absolute URI, such as https://api.example.com or urn:example:api"}
	}
	for _, name := range own {
		if alike(name) == alike(text) {
			return fault{"audience.platform", "must not be the platform itself: grant platform_api instead"}
		}
	}
	return fault{}
}

// alike returns a text in which two spellings of one URI are the same (RFC 3986, section 6.2).
func alike(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return text
	}
	host := strings.ToLower(u.Host)
	switch u.Scheme { // lower case already
	case "https":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	}
	return u.Scheme + ":" + u.Opaque + "//" + host + strings.TrimRight(u.Path, "/") + "?" + u.RawQuery
}
