package verify

import (
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
	"google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/host"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/platform"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
	"github.com/gatehouse/gatehouse/internal/registry"
	"github.com/gatehouse/gatehouse/internal/request"
)

// tokenHeader is where Consul looks for an ACL token, in HTTP and in gRPC.
const tokenHeader = "x-consul-token"

// door is Consul's agent as others than its own clients find it.
type door struct {
	api    string          // host:port of its HTTPS API
	xds    string          // host:port of its gRPC
	ports  []string        // host:port of every TCP socket that it listens on
	ca     *x509.CertPool  // of its certificate
	client tls.Certificate // with which its API can be asked
	mesh   request.Mesh
}

// findDoor looks for the ports of the running agent, wherever its configuration has put them.
func findDoor(dir state.Dir, record state.Record, own request.Mesh) (door, error) {
	d := door{mesh: own, api: record.Consul, xds: record.XDS(), ca: x509.NewCertPool()}
	found, err := host.ListenersOf(record.PID(state.ConsulProcess))
	if err != nil {
		return d, fmt.Errorf("consul: %w: run this as the user that runs the platform", err)
	}
	for _, socket := range found {
		if socket.Network == "tcp" {
			d.ports = append(d.ports, socket.Address.String())
		}
	}
	var texts [3]string
	for i, name := range []string{platform.ConsulCA, platform.ConsulClientCert, platform.ConsulClientKey} {
		if texts[i], err = secret(dir, name); err != nil {
			return d, err
		}
	}
	if !d.ca.AppendCertsFromPEM([]byte(texts[0])) {
		return d, errors.New("read the CA of Consul's certificate: it is not a certificate")
	}
	d.client, err = tls.X509KeyPair([]byte(texts[1]), []byte(texts[2]))
	if err != nil {
		return d, fmt.Errorf("read the certificate for Consul's API: %w", err)
	}
	return d, nil
}

// probes ask the agent for what belongs to a service, as somebody who may have nothing of it (R87):
// without a certificate at every port, with one but without a token at the API, and at the
// sidecars' port without a token and with another service's.
func (d door) probes(program, instance, foreignToken string) []probe {
	name, id := d.mesh.Prefix.Service(program), d.mesh.Prefix.Service(instance)
	leaf := "/v1/agent/connect/ca/leaf/" + name
	var all []probe
	ask := func(who, path string, ask func(context.Context) (Verdict, string)) {
		all = append(all, probe{Caller: who, Callee: instance, Path: path, Way: Agent, Want: Refused, ask: ask})
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
	for _, path := range append(belongings(name, id), leaf) {
		get("without a token", "https", d.api, path, []tls.Certificate{d.client})
	}
	for _, c := range d.calls(program, id) {
		ask("without a token", c.method, func(ctx context.Context) (Verdict, string) { return d.call(ctx, c, "") })
		if c.own {
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

// dial connects to the agent's gRPC without a certificate, as sidecars do.
func (d door) dial() (*grpc.ClientConn, error) {
	conn, err := grpc.NewClient("passthrough:///"+d.xds, grpc.WithDisableRetry(), grpc.WithDisableServiceConfig(),
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12, RootCAs: d.ca})))
	if err != nil {
		return nil, fmt.Errorf("connect to Consul: %w", err)
	}
	return conn, nil
}
