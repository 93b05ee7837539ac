package client

import (
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// fault is a rule that a value breaks, and what is right, for people.
type fault struct{ rule, must string }

// broken reports whether there is one.
func (f fault) broken() bool { return f.rule != "" }

// A URI is compared as a text and is later put into a header and a page, so that it is registered
// in the one form in which browsers send it on. Wildcards are refused like everything that only
// looks like a URI.
var (
	uriForm    = regexp.MustCompile(`^([A-Za-z0-9._~:/?\[\]@!$&'()+,;=-]|%[0-9A-Fa-f]{2})+$`) // RFC 3986, appendix A, without "#" and "*"
	hostForm   = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)
	lastNumber = regexp.MustCompile(`(^|\.)([0-9]+|0x[0-9a-f]*)$`) // browsers read such a host as an IPv4 address
	schemeForm = regexp.MustCompile(`^[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+$`)
	portForm   = regexp.MustCompile(`^[1-9][0-9]{0,4}$`)
)

// loopbacks are the hosts of this machine. Only they may be spoken to in clear text.
func loopbacks() []string { return []string{"127.0.0.1", "[::1]", "localhost"} }

// checkRedirect refuses what must not be registered as a redirect URI (RFC 9700, section 2.1 and
// 4.1; RFC 8252, section 7).
func checkRedirect(text string, public bool) fault {
	u, f := parseURI(text)
	if f.broken() {
		return f
	}
	if schemeForm.MatchString(u.Scheme) { // with a dot: none of javascript, data, file and their like
		switch {
		case !public:
			return fault{"uri.scheme", "must be https: a scheme of its own is for public clients, which run on the device"}
		case !strings.HasPrefix(text, u.Scheme+":/"):
			return fault{"uri.form", "must have a path behind the scheme, such as com.example.app:/callback"}
		}
		return checkPath(u)
	}
	if f := checkHost(u); f.broken() {
		return f
	}
	return checkPath(u)
}

// parseURI reads an absolute URI that is written as browsers send it.
func parseURI(text string) (*url.URL, fault) {
	switch {
	case strings.Contains(text, "#"):
		return nil, fault{"uri.fragment", "must have no fragment"}
	case strings.Contains(text, "*"):
		return nil, fault{"uri.wildcard", "must be one whole URI: list each, wildcards are not read"}
	case !uriForm.MatchString(text):
		return nil, fault{"uri.form", "must be an absolute URI of ASCII characters, such as https://app.example.com"}
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme == "":
		return nil, fault{"uri.form", "must be an absolute URI, such as https://app.example.com"}
	case !strings.HasPrefix(text, u.Scheme+":"):
		return nil, fault{"uri.form", "must have its scheme in lower case"}
	case u.User != nil:
		return nil, fault{"uri.userinfo", "must have no user name or password"}
	}
	return u, fault{}
}

// checkHost admits a server behind https, and this machine behind http.
func checkHost(u *url.URL) fault {
	host := u.Host
	if i := strings.LastIndex(host, ":"); i >= 0 && !strings.HasSuffix(host, "]") {
		port := host[i+1:]
		host = host[:i]
		if !goodPort(port) {
			return fault{"uri.port", "must have a port from 1 to 65535 behind the colon, or neither"}
		}
	}
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return fault{"uri.scheme", "must be https; http for this machine only; a native app's own scheme has a dot, such as com.example.app"}
	case !goodHost(host):
		return fault{"uri.host", "must have a host name in lower case, or an address as browsers write it"}
	case u.Scheme == "http" && !slices.Contains(loopbacks(), host):
		return fault{"uri.scheme", "must be https: http is for this machine only (127.0.0.1, [::1], localhost)"}
	}
	return fault{}
}

func goodPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0 && portForm.MatchString(port)
}

// goodHost admits names and addresses of which there is no second spelling.
func goodHost(host string) bool {
	literal, bracketed := strings.CutPrefix(host, "[")
	literal = strings.TrimSuffix(literal, "]")
	if bracketed || lastNumber.MatchString(host) {
		a, err := netip.ParseAddr(literal)
		return err == nil && a.Zone() == "" && a.String() == literal && bracketed == a.Is6()
	}
	return hostForm.MatchString(host) && len(host) <= 253
}

// checkPath refuses what a browser or a server would walk to another path.
func checkPath(u *url.URL) fault {
	for segment := range strings.SplitSeq(strings.ReplaceAll(u.Path, `\`, "/"), "/") { // decoded
		if segment == "." || segment == ".." {
			return fault{"uri.path", "must have no . or .. in its path"}
		}
	}
	for _, r := range u.Path {
		if r < ' ' || r == 0x7f {
			return fault{"uri.path", "must have no control characters in its path"}
		}
	}
	return fault{}
}

// among reports whether a URI is one of the registered ones, compared as texts. Nothing is parsed
// or decoded: two readings of one text are how answers get to others.
func among(registered []string, uri string) bool {
	return slices.ContainsFunc(registered, func(r string) bool { return r == uri || sameButPort(r, uri) })
}

// sameButPort reports whether two differ in nothing but the port, and are on this machine.
func sameButPort(registered, uri string) bool {
	for _, host := range loopbacks() {
		if r, found := cutPort(registered, host); found {
			u, found := cutPort(uri, host)
			return found && r == u
		}
	}
	return false
}

// cutPort returns what follows host and port of a URI with http.
func cutPort(uri, host string) (rest string, found bool) {
	rest, found = strings.CutPrefix(uri, "http://"+host)
	if !found {
		return "", false
	}
	if port, isPort := strings.CutPrefix(rest, ":"); isPort {
		end := strings.IndexAny(port, "/?")
		if end < 0 {
			end = len(port)
		}
		if !goodPort(port[:end]) {
			return "", false
		}
		rest = port[end:]
	}
	return rest, rest == "" || rest[0] == '/' || rest[0] == '?'
}
