package request

import (
	"errors"
	"strings"
)

// Mesh is where callers must come from: whose CA has signed their certificates, which datacenter
// they run in, and how the platform's services are told from others there.
type Mesh struct {
	TrustDomain string // such as "11111111-2222-3333-4444-555555555555.consul"
	Datacenter  string // such as "dc1"
	Prefix      ServicePrefix
}

// namespace is the only one of Consul's that the platform is in.
const namespace = "default"

var (
	errSPIFFE  = errors.New("not the SPIFFE id of a mesh service")
	errForeign = errors.New("the SPIFFE id of another mesh")
	errService = errors.New("the SPIFFE id of a service that is not the platform's: its name lacks the service prefix")
)

// Program returns the program of a SPIFFE id as Consul's CA issues it: spiffe://<trust
// domain>/ns/<namespace>/dc/<datacenter>/svc/<service>. Every part must be this mesh's and nothing
// may follow: another CA's "gateway" is a stranger (R94, R64), and so is a service of this mesh
// whose name does not begin with the prefix.
func (m Mesh) Program(id string) (string, error) {
	if name, ok := m.own(id); ok {
		return name, nil
	}
	rest, ok := strings.CutPrefix(id, "spiffe://")
	if !ok || len(id) > 512 {
		return "", errSPIFFE
	}
	s := strings.Split(rest, "/")
	if len(s) != 7 || s[1] != "ns" || s[3] != "dc" || s[5] != "svc" {
		return "", errSPIFFE
	}
	for _, part := range s {
		if !plain(part) {
			return "", errSPIFFE
		}
	}
	if s[0] != m.TrustDomain || s[2] != namespace || s[4] != m.Datacenter {
		return "", errForeign
	}
	return "", errService
}

// own is Program for the ids that have one, which nearly all have.
func (m Mesh) own(id string) (name string, ok bool) {
	if m.TrustDomain == "" || m.Datacenter == "" || len(id) > 512 {
		return "", false
	}
	name = id
	for _, part := range [...]string{"spiffe://", m.TrustDomain, "/ns/" + namespace + "/dc/", m.Datacenter, "/svc/"} {
		if name, ok = strings.CutPrefix(name, part); !ok {
			return "", false
		}
	}
	if name, ok = m.Prefix.Program(name); !ok {
		return "", false
	}
	return name, plain(name)
}

// SPIFFE is the id of a program or backing service.
func (m Mesh) SPIFFE(program string) string {
	return "spiffe://" + m.TrustDomain + "/ns/" + namespace + "/dc/" + m.Datacenter + "/svc/" + m.Prefix.Service(program)
}

// plain reports whether a segment holds only letters, digits, dots, hyphens and underscores: no
// comma joins two ids, no escape hides one.
func plain(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' && c != '_' {
			return false
		}
	}
	return s != ""
}
