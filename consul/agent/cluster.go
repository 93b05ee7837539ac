package agent

import (
	"bytes"
	_ "embed"
	"fmt"
	"strings"
	"text/template"
)

// Files of a site's agents: what all hosts share, and what one has of its own.
var (
	//go:embed server.hcl
	server string
	//go:embed client.hcl
	client string
	//go:embed host.hcl.tmpl
	hostTemplate string
)

// Host are the values of host.hcl.tmpl.
type Host struct {
	Server          bool
	NodeName        string
	DataDir         string
	Address         string
	Servers         []string // addresses
	GossipKey       string   // 32 bytes, base64
	CAFile          string
	CertFile        string
	KeyFile         string
	AgentToken      string // that of the agent itself
	ManagementToken string // a server's only
}

// Shared is the file that this host shares with others: server.hcl or client.hcl.
func (h Host) Shared() string {
	if h.Server {
		return server
	}
	return client
}

// Render returns host.hcl. It holds secrets: store it with mode 0600.
func (h Host) Render() (string, error) {
	text, err := Fill(hostTemplate, h)
	if err != nil {
		return "", fmt.Errorf("write what the Consul agent of %s has of its own: %w", h.NodeName, err)
	}
	return text, nil
}

// Fill fills in a template of HCL. Functions: quote writes a string, list a list of strings.
func Fill(text string, values any) (string, error) {
	parsed, err := template.New("").Funcs(template.FuncMap{"quote": quote, "list": list}).Parse(text)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	if err := parsed.Execute(&out, values); err != nil {
		return "", err
	}
	return out.String(), nil
}

func list(all []string) (string, error) {
	var quoted []string
	for _, one := range all {
		text, err := quote(one)
		if err != nil {
			return "", err
		}
		quoted = append(quoted, text)
	}
	return "[" + strings.Join(quoted, ", ") + "]", nil
}
