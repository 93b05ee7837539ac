package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
	"github.com/gatehouse/gatehouse/internal/supervise"
)

// DefaultDir is where a cluster's state is: one cluster runs on a machine, and its commands find it
// from anywhere. The path is short because Nomad makes sockets below it, whose paths are bounded.
const DefaultDir = "/var/lib/gatehouse-cluster"

// ErrNotRunning says that no cluster uses the state folder.
var ErrNotRunning = errors.New("no development cluster is running: start one with `make cluster`")

// recordFile is the record's name in the state folder.
const recordFile = "cluster.json"

// Secret files of the state folder.
const (
	AgentsCA     = "agents-ca.pem" // verifies Consul's and Nomad's APIs
	OperatorCert = "operator.pem"  // opens them
	OperatorKey  = "operator-key.pem"
	SiteCA       = "site-ca.pem" // verifies the balancer and the gateway
	SiteKey      = "site-ca-key.pem"
	ConsulToken  = state.ManagementToken
	NomadToken   = "nomad-management.token"
)

// Record is what runs: cluster.json.
type Record struct {
	Healthy     bool     `json:"healthy"` // once everything was
	Network     string   `json:"network"`
	Link        string   `json:"link"` // this machine's to the cluster
	Datacenter  string   `json:"datacenter"`
	Prefix      string   `json:"service_prefix"`         // of services in Consul
	Consul      string   `json:"consul"`                 // host:port of the server's HTTPS API
	Nomad       string   `json:"nomad"`                  // URL of the server's API
	URL         string   `json:"url"`                    // of the site's balancer
	TrustDomain string   `json:"trust_domain,omitempty"` // of the mesh's CA, once Consul runs
	Site        Host     `json:"site"`                   // the switch and the balancer
	Hosts       []Host   `json:"hosts"`
	Made        []string `json:"made,omitempty"`   // folders of the machine that are there for the hosts' own ones only
	Groups      []string `json:"groups,omitempty"` // control groups that the machine did not have before
}

// Host is one of the cluster.
type Host struct {
	Name    string             `json:"name"`
	Server  bool               `json:"server,omitempty"`  // of Consul and of Nomad; the others run jobs
	Address string             `json:"address"`           // in the subnet of the hosts
	Public  string             `json:"public"`            // in the subnet of the balancer
	First   supervise.Identity `json:"first"`             // its first process; its namespaces are those of that one
	Failed  bool               `json:"failed,omitempty"`  // by `gatehouse cluster host fail`
	Cut     bool               `json:"cut,omitempty"`     // its link only
	Volumes []string           `json:"volumes,omitempty"` // host volumes that only it has
}

// Read returns the record that the last `up` left, ErrNotRunning when there is none.
func Read(dir state.Dir) (Record, error) {
	var r Record
	found, err := dir.Load(recordFile, &r)
	if err == nil && !found {
		err = ErrNotRunning
	}
	return r, err
}

// Running returns the record of a living cluster, ErrNotRunning when there is none.
func Running(dir state.Dir) (Record, error) {
	r, err := Read(dir)
	if err == nil && (!r.Site.First.Alive() || !r.linked()) { // without the link its addresses are somebody else's
		err = ErrNotRunning
	}
	return r, err
}

// linked reports whether this machine has its link to the cluster.
func (r *Record) linked() bool {
	_, err := os.Stat(filepath.Join("/sys/class/net", r.Link))
	return r.Link != "" && err == nil
}

// Host finds a host by its name.
func (r *Record) Host(name string) (*Host, error) {
	for i := range r.Hosts {
		if r.Hosts[i].Name == name {
			return &r.Hosts[i], nil
		}
	}
	names := ""
	for _, h := range r.Hosts {
		names += " " + h.Name
	}
	return nil, fmt.Errorf("the cluster has no host %s: choose from%s", name, names)
}

func (r *Record) write(dir state.Dir) error { return dir.Save(recordFile, r) }
