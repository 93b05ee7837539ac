package cluster

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"text/template"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/cluster/host"
)

//go:embed balancer.json.tmpl
var balancerTemplate string

const (
	doorPort    = 443
	gatewayPort = 8443 // static, on every host that runs one
)

// GatewayName is the name in the gateway's certificate, which the balancer asks for.
const GatewayName = "gateway.gatehouse.internal"

// balancer writes the configuration of the site's load balancer and returns its process. It stands for
// whatever a site has there: it ends TLS, adds the client to X-Forwarded-For, and sends nobody to a
// gateway whose /readyz does not answer 200.
func (c *cluster) balancer() (host.Process, error) {
	address := number(c.opts.Network.public, siteNumber)
	cert, key, err := c.keys.site.Issue("balancer", []string{"localhost"}, net.IP(address.AsSlice()))
	if err != nil {
		return host.Process{}, err
	}
	folder := c.folder(siteName)
	certFile, keyFile, configFile := filepath.Join(folder, "balancer.pem"), filepath.Join(folder, "balancer-key.pem"), filepath.Join(folder, "balancer.json")
	var gateways []string
	for i := range clients {
		gateways = append(gateways, number(c.opts.Network.public, clientNumber+byte(i)+1).String())
	}
	text, err := fill(balancerTemplate, map[string]any{
		"Address": address.String(), "Port": doorPort, "CertFile": certFile, "KeyFile": keyFile, "CAFile": c.opts.Dir.SecretPath(SiteCA),
		"ServerName": GatewayName, "Gateways": gateways, "GatewayPort": gatewayPort,
	})
	if err != nil {
		return host.Process{}, fmt.Errorf("configure the balancer: %w", err)
	}
	return host.Process{
		Name: "balancer", Environ: environ(c.opts.Programs),
		Command: []string{c.opts.Programs.Envoy.Path, "--config-path", configFile, "--disable-hot-restart", "--concurrency", "1", "--log-level", "warn"},
	}, writeFiles(map[string]string{certFile: cert, keyFile: key, configFile: text})
}

func fill(text string, values any) (string, error) {
	parsed, err := template.New("").Funcs(template.FuncMap{"json": func(text string) (string, error) {
		raw, err := json.Marshal(text)
		return string(raw), err
	}}).Parse(text)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	err = parsed.Execute(&out, values)
	return out.String(), err
}
