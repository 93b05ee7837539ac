package platform

import (
	"fmt"
	"net"
	"strings"

	"github.com/gatehouse/gatehouse/internal/mesh"
)

// Gateway is where the edge can be reached.
type Gateway struct {
	Address string // host:port it listens on
	URL     string
	Issuer  string // of tokens, unless the operator says another one: the URL as browsers and OAuth clients on this machine write it
}

// GatewayOf works out from the operator's settings, which the gateway gets too, where it will listen.
func GatewayOf(def *mesh.Definition, offset int, environ []string) (Gateway, error) {
	address, scheme := "", "http"
	for _, program := range def.Programs {
		if program.Edge {
			address = fmt.Sprintf("127.0.0.1:%d", program.Port+offset)
		}
	}
	for _, pair := range environ {
		switch variable, value, _ := strings.Cut(pair, "="); {
		case value == "":
		case variable == "GATEHOUSE_GATEWAY_LISTEN":
			address = value
		case variable == "GATEHOUSE_GATEWAY_TLS_CERT_FILE":
			scheme = "https"
		}
	}
	if address == "" {
		return Gateway{}, nil // a mesh without an edge
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return Gateway{}, fmt.Errorf("GATEHOUSE_GATEWAY_LISTEN is %q: give host:port, such as 127.0.0.1:8080", address)
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "127.0.0.1" // listening everywhere, also here
	}
	g := Gateway{Address: address, URL: scheme + "://" + net.JoinHostPort(host, port)}
	if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() {
		host = "localhost" // where browsers keep Secure cookies without TLS, too
	}
	g.Issuer = scheme + "://" + net.JoinHostPort(host, port)
	if known := map[string]string{"http": "80", "https": "443"}; port == known[scheme] { // a browser leaves it out
		g.Issuer = strings.TrimSuffix(g.Issuer, ":"+port)
	}
	return g, nil
}
