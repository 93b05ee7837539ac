// Package agent holds the configuration of Nomad agents. The development cluster renders what each
// host has of its own; operators write that themselves.
package agent

import (
	_ "embed"
	"fmt"

	consul "github.com/gatehouse/gatehouse/consul/agent"
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

// Region is the name of the only region, a part of the names in certificates.
const Region = "global"

// Host are the values of host.hcl.tmpl.
type Host struct {
	Server    bool
	NodeName  string
	DataDir   string
	Address   string
	Servers   []string // addresses
	GossipKey string   // 32 bytes, base64; a server's only
	CAFile    string
	CertFile  string
	KeyFile   string

	// A client's.
	AllocDir      string // short: sockets are made below it
	ConsulToken   string
	CNI           string            // folder of the plugins
	Interface     string            // link whose address is the host's
	SharesMachine bool              // with other hosts
	Private       string            // subnet of the host network where health and metrics answer
	Public        string            // subnet of the one where the gateway does
	Volumes       map[string]string // paths of host volumes
	Chroot        map[string]string // places in a task's root by where they are on the host
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
	text, err := consul.Fill(hostTemplate, h)
	if err != nil {
		return "", fmt.Errorf("write what the Nomad agent of %s has of its own: %w", h.NodeName, err)
	}
	return text, nil
}
