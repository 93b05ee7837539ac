package request

import (
	"errors"
	"strings"
)

// Mesh is where callers must come from: whose CA has signed their certificates, and which
// datacenter they run in.
type Mesh struct {
	TrustDomain string // such as "11111111-2222-3333-4444-555555555555.consul"
	Datacenter  string // such as "dc1"
}

// namespace is the only one of Consul's that the platform is in.
const namespace = "default"

var (
	errSPIFFE  = errors.New("not the SPIFFE id of a mesh service")
	errForeign = errors.New("the SPIFFE id of another mesh")
)

// Service returns the service of a SPIFFE id as Consul's CA issues it: spiffe://<trust
// domain>/ns/<namespace>/dc/<datacenter>/svc/<service>. Every part must be this mesh's and nothing
// may follow: another CA's "gateway" is a stranger (R94, R64).
func (m Mesh) Service(id string) (string, error) {
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
	return s[6], nil
}

// own is Service for the ids of this mesh, which nearly all are.
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
	return name, plain(name)
}

// SPIFFE is the id of a service.
func (m Mesh) SPIFFE(service string) string {
	return "spiffe://" + m.TrustDomain + "/ns/" + namespace + "/dc/" + m.Datacenter + "/svc/" + service
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
