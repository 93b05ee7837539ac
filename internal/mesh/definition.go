// Package mesh is the service mesh as the contracts state it: all programs with their ports and
// upstreams, and who may call what. A definition is derived from a contract, stored in
// consul/mesh.json and compared with another one.
//
// It is pure: it reads no file, starts nothing and knows no Consul (internal/registry does).
package mesh

import (
	"errors"
	"fmt"
	"slices"
)

// Port layout of one machine. Slot is the program's port minus FirstPort; backing services have slots from BackingSlot. All ports
// move together by the port offset, so copies with offsets that are multiples of 1,000 do not meet. Second instances of programs have
// theirs in instance.go.
const (
	FirstPort       = 8080  // programs: gRPC, or HTTP for the gateway
	FirstRESTPort   = 8180  // REST door of a service on loopback, off by default: FirstRESTPort + slot
	FirstOpsPort    = 8480  // ops HTTP listener (/livez /readyz /metrics /version): FirstOpsPort + slot
	FirstUpstream   = 20000 // local upstream listeners of a sidecar: FirstUpstream + 20*caller slot + callee slot
	FirstPublic     = 20500 // public mTLS listener of a sidecar: FirstPublic + slot
	FirstAdmin      = 20600 // Envoy admin of a sidecar: FirstAdmin + slot
	BackingSlot     = 19    // postgres
	PostgresPort    = 15432 // PostgreSQL of the one-machine mode
	ConsulHTTPPort  = 8500  // Consul's API where it is plain HTTP; closed on one machine
	ConsulHTTPSPort = 8501
	ConsulXDSPort   = 8503 // gRPC over TLS: what sidecars ask
	ConsulSerfPort  = 8301
	ConsulRPCPort   = 8300
)

// Windows of flow control (RFC 9113, section 5.2) of what carries gRPC, in sidecars and programs, in
// bytes: what may be under way to a reader that does not read. Nobody measures connections to find
// larger ones (ADR 0062).
const (
	StreamWindow     = 64 << 10
	ConnectionWindow = 1 << 30
)

// File is where the generated definition lies in the repository.
const File = "consul/mesh.json"

// Definition is the whole mesh as the contracts state it: File, generated.
type Definition struct {
	Programs []Program `json:"programs"` // sorted by slot
	Backings []Backing `json:"backings"` // sorted by slot
	Methods  []Method  `json:"methods"`  // sorted by path

	ObjectTypes []ObjectType `json:"object_types,omitempty"` // sorted by name
}

// Program is one process with a sidecar.
type Program struct {
	Name      string     `json:"name"`
	Slot      int        `json:"slot"`
	Port      int        `json:"port"`                // loopback port of the program itself
	OpsPort   int        `json:"ops_port"`            // loopback port of its ops listener
	RESTPort  int        `json:"rest_port,omitempty"` // loopback port of its REST door; 0 where no method has a route
	Public    int        `json:"public"`              // public listener of its sidecar
	Admin     int        `json:"admin"`               // Envoy admin of its sidecar
	Edge      bool       `json:"edge"`                // serves HTTP to the outside and no gRPC
	Upstreams []Upstream `json:"upstreams"`           // sorted by name
	Database  *Database  `json:"database,omitempty"`
	Secrets   []Secret   `json:"secrets,omitempty"`
}

// Backing is a service outside the contracts, reached by L4 intention.
type Backing struct {
	Name    string   `json:"name"`
	Slot    int      `json:"slot"`
	Port    int      `json:"port"` // loopback port of the service itself on one machine
	Public  int      `json:"public"`
	Admin   int      `json:"admin"`
	Callers []string `json:"callers"` // programs that need it, sorted
}

// Upstream is a local listener of a program's sidecar that leads to another service.
type Upstream struct {
	Name     string `json:"name"`
	Port     int    `json:"port"`
	Protocol string `json:"protocol"` // "grpc" or "tcp"
}

// Method is one row of the allow/deny matrix.
type Method struct {
	Path      string   `json:"path"`             // "/package.Service/Method"
	Callee    string   `json:"callee"`           // program that serves it
	Callers   []string `json:"callers"`          // programs that may call it, sorted; all others are denied
	Access    []string `json:"access,omitempty"` // whom it admits, in words, sorted
	LongLived bool     `json:"long_lived,omitempty"`
}

// Admits reports whether a program may call a method, by what both contracts state: the sidecars'
// intentions and the services' servers decide by it.
func (d *Definition) Admits(method, program string) bool {
	return slices.ContainsFunc(d.Methods, func(m Method) bool { return m.Path == method && slices.Contains(m.Callers, program) })
}

// IsEdge reports whether a program serves HTTP to the outside.
func (d *Definition) IsEdge(program string) bool {
	edge, err := d.Edge()
	return err == nil && edge.Name == program
}

// Edge returns the program that serves HTTP to the outside.
func (d *Definition) Edge() (Program, error) {
	for _, p := range d.Programs {
		if p.Edge {
			return p, nil
		}
	}
	return Program{}, errors.New("the mesh definition has no edge")
}

// Program returns the program of that name.
func (d *Definition) Program(name string) (Program, error) {
	for _, p := range d.Programs {
		if p.Name == name {
			return p, nil
		}
	}
	return Program{}, fmt.Errorf("no program named %q in the mesh definition", name)
}

// Backing returns the backing service of that name.
func (d *Definition) Backing(name string) (Backing, error) {
	for _, b := range d.Backings {
		if b.Name == name {
			return b, nil
		}
	}
	return Backing{}, fmt.Errorf("no backing service named %q in the mesh definition", name)
}

// Upstream returns the local port of a program's upstream.
func (p Program) Upstream(name string) (int, error) {
	for _, u := range p.Upstreams {
		if u.Name == name {
			return u.Port, nil
		}
	}
	return 0, fmt.Errorf("%s declares no call to %q: add it to calls or needs in its proto", p.Name, name)
}
