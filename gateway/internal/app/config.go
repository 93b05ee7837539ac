package app

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/gatehouse/gatehouse/gateway/internal/certificate"
	"github.com/gatehouse/gatehouse/gateway/internal/middleware"
	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/fxmod"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/program"
)

// CLI is the command line: one struct for each verb.
type CLI struct {
	Serve   Config               `cmd:"" default:"withargs" help:"Serve; the default."`
	Version program.PrintVersion `cmd:"" help:"Print the version."`
}

// Config is what serve needs.
type Config struct {
	Kernel fxmod.Config `embed:""`
	Edge   EdgeConfig   `embed:""`
}

// EdgeConfig is the option group of the public listener.
type EdgeConfig struct {
	Listen         string      `name:"gateway-listen" env:"GATEHOUSE_GATEWAY_LISTEN" help:"host:port of the public listener; 127.0.0.1:8080 plus the port offset when empty. Other hosts than loopback need TLS."`
	TLSCertFile    string      `name:"gateway-tls-cert-file" env:"GATEHOUSE_GATEWAY_TLS_CERT_FILE" help:"PEM file with the certificate chain of the public listener."`
	TLSKeyFile     string      `name:"gateway-tls-key-file" env:"GATEHOUSE_GATEWAY_TLS_KEY_FILE" help:"PEM file with the certificate's private key."`
	CORSOrigins    config.List `name:"gateway-cors-origins" env:"GATEHOUSE_GATEWAY_CORS_ORIGINS" help:"Web origins that browsers may call from, such as https://app.example.com, separated by commas."`
	TrustedProxies config.List `name:"gateway-trusted-proxies" env:"GATEHOUSE_GATEWAY_TRUSTED_PROXIES" help:"Addresses or networks of proxies whose X-Forwarded-For is believed, separated by commas."`
	BodyLimit      int64       `name:"gateway-body-limit" env:"GATEHOUSE_GATEWAY_BODY_LIMIT" default:"1048576" help:"Largest request body in bytes."`

	RatePerAddress   float64 `name:"gateway-rate-per-address" env:"GATEHOUSE_GATEWAY_RATE_PER_ADDRESS" default:"200" help:"Requests a second that one client address may make in the long run."`
	BurstPerAddress  int     `name:"gateway-burst-per-address" env:"GATEHOUSE_GATEWAY_BURST_PER_ADDRESS" default:"400" help:"Requests that one client address may make at once."`
	RateOAuth        float64 `name:"gateway-rate-oauth" env:"GATEHOUSE_GATEWAY_RATE_OAUTH" default:"1000" help:"Requests a second that one client address may make to what OAuth clients use, such as the token endpoint, in the long run: a backend has many users."`
	BurstOAuth       int     `name:"gateway-burst-oauth" env:"GATEHOUSE_GATEWAY_BURST_OAUTH" default:"2000" help:"Requests that one client address may make there at once."`
	RatePerSubject   float64 `name:"gateway-rate-per-subject" env:"GATEHOUSE_GATEWAY_RATE_PER_SUBJECT" default:"100" help:"Requests a second that one signed-in user may make in the long run."`
	BurstPerSubject  int     `name:"gateway-burst-per-subject" env:"GATEHOUSE_GATEWAY_BURST_PER_SUBJECT" default:"200" help:"Requests that one signed-in user may make at once."`
	RateCredentials  float64 `name:"gateway-rate-credentials" env:"GATEHOUSE_GATEWAY_RATE_CREDENTIALS" default:"20" help:"Requests a second to one route that takes credentials, such as sign-in, that one client address may try in the long run."`
	BurstCredentials int     `name:"gateway-burst-credentials" env:"GATEHOUSE_GATEWAY_BURST_CREDENTIALS" default:"60" help:"Requests to one route that takes credentials, such as sign-in, that one client address may try at once."`

	Streams           int `name:"gateway-streams" env:"GATEHOUSE_GATEWAY_STREAMS" default:"1000" help:"Streams, such as tails of the audit trail, that may be open at once in all."`
	StreamsPerSubject int `name:"gateway-streams-per-subject" env:"GATEHOUSE_GATEWAY_STREAMS_PER_SUBJECT" default:"10" help:"Streams that one signed-in user may have open at once."`
}

// maxStreams is the largest number of open streams: the sidecars admit as many calls to one service, and others need some.
const maxStreams = 2000

// maxBody is the largest body limit: a message of the mesh is not larger (internal/server/grpc).
const maxBody = 4 << 20

// Validate reports contradictions.
func (c EdgeConfig) Validate() error {
	switch {
	case c.TLSCertFile != "" && c.TLSKeyFile == "":
		return errors.New("GATEHOUSE_GATEWAY_TLS_CERT_FILE is set without GATEHOUSE_GATEWAY_TLS_KEY_FILE: set both, or none for plain HTTP on loopback")
	case c.TLSCertFile == "" && c.TLSKeyFile != "":
		return errors.New("GATEHOUSE_GATEWAY_TLS_KEY_FILE is set without GATEHOUSE_GATEWAY_TLS_CERT_FILE: set both, or none for plain HTTP on loopback")
	case c.BodyLimit < 1 || c.BodyLimit > maxBody:
		return fmt.Errorf("GATEHOUSE_GATEWAY_BODY_LIMIT is %d: set it to 1 to %d bytes", c.BodyLimit, maxBody)
	}
	if err := c.validateListen(); err != nil {
		return err
	}
	if _, err := c.origins(); err != nil {
		return err
	}
	if _, err := c.proxies(); err != nil {
		return err
	}
	if c.StreamsPerSubject < 1 || c.StreamsPerSubject > c.Streams || c.Streams > maxStreams {
		return fmt.Errorf("GATEHOUSE_GATEWAY_STREAMS is %d and GATEHOUSE_GATEWAY_STREAMS_PER_SUBJECT is %d: set the first to %d at most, and the second from 1 to the first",
			c.Streams, c.StreamsPerSubject, maxStreams)
	}
	for name, r := range map[string]middleware.Rate{
		"PER_ADDRESS": c.perAddress(), "PER_SUBJECT": c.perSubject(), "CREDENTIALS": c.credentials(), "OAUTH": c.oauth(),
	} {
		if !(r.PerSecond > 0) || r.PerSecond > 1e6 || r.Burst < 1 || r.Burst > 1e6 {
			return fmt.Errorf("GATEHOUSE_GATEWAY_RATE_%s is %v and GATEHOUSE_GATEWAY_BURST_%s is %d: set both above 0, to 1000000 at most",
				name, r.PerSecond, name, r.Burst)
		}
	}
	return nil
}

// validateListen refuses to serve the world in clear text.
func (c EdgeConfig) validateListen() error {
	if c.Listen == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("GATEHOUSE_GATEWAY_LISTEN is %q: write host:port, such as 127.0.0.1:8080", c.Listen)
	}
	ip := net.ParseIP(host)
	if loopback := host == "localhost" || (ip != nil && ip.IsLoopback()); !loopback && c.TLSCertFile == "" {
		return fmt.Errorf("GATEHOUSE_GATEWAY_LISTEN is %q, which others than this machine reach, and there is no TLS: "+
			"set GATEHOUSE_GATEWAY_TLS_CERT_FILE and GATEHOUSE_GATEWAY_TLS_KEY_FILE, or listen on 127.0.0.1", c.Listen)
	}
	return nil
}

// origins are the web origins in the form in which browsers send them: scheme://host[:port],
// without the port that the scheme has anyway.
func (c EdgeConfig) origins() ([]string, error) {
	var origins []string
	for _, text := range c.CORSOrigins {
		origin := text
		if u, err := url.Parse(text); err == nil && (u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80") {
			origin = strings.TrimSuffix(text, ":"+u.Port())
		}
		if !validOrigin(origin) {
			return nil, fmt.Errorf("GATEHOUSE_GATEWAY_CORS_ORIGINS has %q: list whole origins as browsers send them, "+
				"such as https://app.example.com or http://localhost:3000, with a host name behind https", text)
		}
		origins = append(origins, origin)
	}
	return origins, nil
}

func validOrigin(origin string) bool {
	u, err := url.Parse(origin)
	whole := err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && origin == u.Scheme+"://"+u.Host
	return whole && !strings.ContainsAny(origin, "*@") && origin == strings.ToLower(origin) && middleware.CheckOrigin(origin) == nil
}

// proxies are the networks of the trusted proxies.
func (c EdgeConfig) proxies() ([]netip.Prefix, error) {
	var networks []netip.Prefix
	for _, text := range c.TrustedProxies {
		if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
			networks = append(networks, netip.PrefixFrom(addr, addr.BitLen()))
			continue
		}
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("GATEHOUSE_GATEWAY_TRUSTED_PROXIES has %q: list addresses or networks, such as 10.0.0.5,10.1.0.0/16", text)
		}
		networks = append(networks, network.Masked())
	}
	return networks, nil
}

func (c EdgeConfig) perAddress() middleware.Rate {
	return middleware.Rate{PerSecond: c.RatePerAddress, Burst: c.BurstPerAddress}
}

func (c EdgeConfig) oauth() middleware.Rate {
	return middleware.Rate{PerSecond: c.RateOAuth, Burst: c.BurstOAuth}
}

func (c EdgeConfig) perSubject() middleware.Rate {
	return middleware.Rate{PerSecond: c.RatePerSubject, Burst: c.BurstPerSubject}
}

func (c EdgeConfig) credentials() middleware.Rate {
	return middleware.Rate{PerSecond: c.RateCredentials, Burst: c.BurstCredentials}
}

// address is where the public listener listens.
func (c EdgeConfig) address(self mesh.Program, offset int) string {
	if c.Listen != "" {
		return c.Listen
	}
	return fmt.Sprintf("127.0.0.1:%d", self.Port+offset)
}

// tls returns the listener's TLS; nil for plain HTTP. A renewed certificate is served without a restart.
func (c EdgeConfig) tls(log *slog.Logger, now func() time.Time) (*tls.Config, error) {
	if c.TLSCertFile == "" {
		return nil, nil
	}
	files, err := certificate.Open(c.TLSCertFile, c.TLSKeyFile, log, now)
	if err != nil {
		return nil, fmt.Errorf("GATEHOUSE_GATEWAY_TLS_CERT_FILE and GATEHOUSE_GATEWAY_TLS_KEY_FILE do not hold a certificate and its key in PEM: %w", err)
	}
	return &tls.Config{GetCertificate: files.Get, MinVersion: tls.VersionTLS12}, nil
}
