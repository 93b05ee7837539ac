package verify

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/internal/registry"
	"github.com/gatehouse/gatehouse/internal/request"
)

// tokenHeader is where Consul looks for an ACL token, in HTTP and in gRPC.
const tokenHeader = "x-consul-token"

// door is a Consul agent as others than its own clients find it.
type door struct {
	name    string          // in the report, where there are several
	node    string          // that the agent is on; empty where that does not matter
	through string          // the instance from whose allocation it is asked; empty from here
	api     string          // host:port of its HTTPS API; empty where that is not to be reached
	xds     string          // host:port of its gRPC, or the path of a socket that leads there; empty likewise
	signs   bool            // a server, which signs certificates
	plain   bool            // its gRPC has no TLS
	ports   []string        // host:port of every TCP socket that it listens on
	ca      *x509.CertPool  // of its certificate
	host    string          // name in its certificate, where the address is none
	client  tls.Certificate // with which its API can be asked, and its gRPC where that wants one
	mesh    request.Mesh
}

// certify takes the CA of the agent's certificate and a client certificate of its API, in PEM.
func (d *door) certify(ca, cert, key []byte) (err error) {
	d.ca = x509.NewCertPool()
	if !d.ca.AppendCertsFromPEM(ca) {
		return errors.New("read the CA of Consul's certificate: it is not a certificate")
	}
	if d.client, err = tls.X509KeyPair(cert, key); err != nil {
		return fmt.Errorf("read the certificate for Consul's API: %w", err)
	}
	return nil
}

// probes ask the agent for what belongs to an instance, as somebody who may have nothing of it
// (R87): without a certificate at every port, with one but without a token at the API, and at the
// sidecars' port without a token and with another service's.
func (d door) probes(of instance, foreignToken string) []probe {
	leaf := "/v1/agent/connect/ca/leaf/" + d.mesh.Prefix.Service(of.program)
	var all []probe
	ask := func(who, path string, ask func(context.Context) (Verdict, string)) {
		all = append(all, probe{Caller: who, Callee: of.program, Instance: cmp.Or(d.name, of.name), Path: path, Way: Agent, Want: Refused, needs: []string{of.name, d.through}, ask: ask})
	}
	get := func(who, scheme, address, path string, certificates []tls.Certificate) {
		page := scheme + "://" + address + path
		ask(who, page, func(ctx context.Context) (Verdict, string) { return fetch(ctx, page, certificates) })
	}
	for _, port := range d.ports {
		get("without TLS", "http", port, leaf, nil)
		get("without a certificate", "https", port, leaf, nil)
		ask("with a certificate of its own making", "https://"+port+leaf, func(ctx context.Context) (Verdict, string) {
			forged, err := selfSigned(identity{certificates: []tls.Certificate{d.client}})
			if err != nil {
				return Broken, err.Error()
			}
			return fetch(ctx, "https://"+port+leaf, forged.certificates)
		})
	}
	if d.api != "" {
		for _, path := range append(belongings(d.mesh.Prefix.Service(of.program), of.id), leaf) {
			get("without a token", "https", d.api, path, []tls.Certificate{d.client})
		}
	}
	if d.xds == "" {
		return all
	}
	for _, c := range d.calls(of) {
		ask("without a token", c.method, func(ctx context.Context) (Verdict, string) { return d.call(ctx, c, "") })
		if c.own && foreignToken != "" {
			ask("with another service's token", c.method, func(ctx context.Context) (Verdict, string) { return d.call(ctx, c, foreignToken) })
		}
	}
	return all
}

// belongings are the pages of Consul's API that say something of a service, by the name and the id
// that it has there.
func belongings(service, id string) []string {
	return []string{
		"/v1/agent/services", "/v1/agent/service/" + registry.SidecarID(id), "/v1/agent/checks", "/v1/agent/health/service/id/" + id,
		"/v1/catalog/services", "/v1/catalog/service/" + service, "/v1/catalog/connect/" + service, "/v1/health/service/" + service,
		"/v1/health/connect/" + service, "/v1/discovery-chain/" + service,
		"/v1/config/service-defaults/" + service, "/v1/config/service-intentions/" + service, "/v1/connect/intentions",
		"/v1/agent/self", "/v1/acl/tokens", "/v1/snapshot",
	}
}

// fetch gets a page. What is given is never repeated: it may be a private key.
func fetch(ctx context.Context, page string, certificates []tls.Certificate) (Verdict, string) {
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{
			MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, //nolint:gosec // whoever answers: nothing may be given
			// Also to a server that names another CA: what it says to that is the question.
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				if len(certificates) == 0 {
					return &tls.Certificate{}, nil
				}
				return &certificates[0], nil
			},
		},
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
	if err != nil {
		return Broken, err.Error()
	}
	answer, err := client.Do(request)
	if err != nil {
		return turnedAway(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	switch {
	case err != nil:
		return Broken, "the answer breaks off"
	case answer.StatusCode >= http.StatusInternalServerError:
		return Broken, answer.Status
	case answer.StatusCode >= http.StatusMultipleChoices:
		return Refused, answer.Status
	case nothing(string(body)):
		return Refused, answer.Status + ", and nothing in it"
	default:
		return Passed, fmt.Sprintf("%s, %d bytes", answer.Status, len(body))
	}
}

// nothing is a page that the missing rights have emptied.
func nothing(body string) bool {
	switch strings.TrimSpace(body) {
	case "", "null", "[]", "{}":
		return true
	}
	return false
}

// turnedAway judges a request that got no answer. That nobody listens or nobody speaks is
// not a refusal.
func turnedAway(err error) (Verdict, string) {
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		return Broken, err.Error()
	}
	var cause *url.Error
	if errors.As(err, &cause) {
		err = cause.Err
	}
	return closed(err)
}

// call asks a method of the agent's gRPC. Any message is too much.
func (d door) call(ctx context.Context, c call, token string) (Verdict, string) {
	conn, err := d.dial()
	if err != nil {
		return Broken, err.Error()
	}
	defer func() { _ = conn.Close() }()
	if token != "" {
		ctx = as(ctx, token)
	}
	err = c.do(ctx, conn)
	switch status.Code(err) {
	case codes.OK:
		return Passed, "it answers"
	case codes.PermissionDenied, codes.Unauthenticated:
		return Refused, status.Convert(err).Message()
	default:
		return Broken, err.Error()
	}
}

// dial connects to the agent's gRPC, as sidecars do at a client.
func (d door) dial() (*grpc.ClientConn, error) {
	address, secured := "passthrough:///"+d.xds, insecure.NewCredentials()
	if strings.HasPrefix(d.xds, "/") {
		address = "unix:" + d.xds
	}
	if !d.plain {
		config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: d.ca, ServerName: d.host}
		if d.signs && d.host != "" { // a cluster's servers want a certificate
			config.Certificates = []tls.Certificate{d.client}
		}
		secured = credentials.NewTLS(config)
	}
	conn, err := grpc.NewClient(address, grpc.WithDisableRetry(), grpc.WithDisableServiceConfig(), grpc.WithTransportCredentials(secured))
	if err != nil {
		return nil, fmt.Errorf("connect to Consul: %w", err)
	}
	return conn, nil
}
