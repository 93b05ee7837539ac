// Package agent holds the configuration of Consul agents. The CLI's `up` renders the one of the one-machine mode.
package agent

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"text/template"
)

//go:embed one-machine.hcl.tmpl
var oneMachine string

// Datacenter is the name of the agent's datacenter, a part of every SPIFFE id.
const Datacenter = "dc1"

// OneMachine are the values of one-machine.hcl.tmpl.
type OneMachine struct {
	NodeName        string
	DataDir         string
	HTTPSPort       int
	XDSPort         int
	SerfPort        int
	ServerPort      int
	CAFile          string // Certificates: CA
	CertFile        string // ServerCert
	KeyFile         string // ServerKey
	GossipKey       string // 32 bytes, base64
	ManagementToken string
}

// Render returns the agent's configuration in HCL. It holds secrets: store it with mode 0600.
func (c OneMachine) Render() ([]byte, error) {
	parsed, err := template.New("one-machine.hcl").Funcs(template.FuncMap{"quote": quote}).Parse(oneMachine)
	if err != nil {
		return nil, fmt.Errorf("read the agent's configuration template: %w", err)
	}
	var out bytes.Buffer
	if err := parsed.Execute(&out, c); err != nil {
		return nil, fmt.Errorf("fill in the agent's configuration: %w", err)
	}
	return out.Bytes(), nil
}

// Datacenter is for the template.
func (OneMachine) Datacenter() string { return Datacenter }

// quote writes a string literal of HCL, whose escapes are those of JSON.
func quote(text string) (string, error) {
	raw, err := json.Marshal(text)
	return string(raw), err
}
