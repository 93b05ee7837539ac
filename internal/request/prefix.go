package request

import (
	"fmt"
	"regexp"
	"strings"
)

// ServicePrefix goes before the names of programs and backing services wherever Consul knows them,
// so that on a shared cluster nobody else's "postgres" is ours (ADR 0069). It is the one place that
// says which Consul service a program is, and the other way round: all else knows programs.
type ServicePrefix string

// maxPrefix leaves room for the longest name that a contract admits, 40 characters, in a DNS label
// (RFC 1035, section 2.3.4).
const maxPrefix = 63 - 40

var prefixForm = regexp.MustCompile(`^([a-z0-9][a-z0-9-]*-)?$`)

// Check says in one sentence what is wrong with a prefix. None at all is good.
func (p ServicePrefix) Check() error {
	if !prefixForm.MatchString(string(p)) || len(p) > maxPrefix {
		return fmt.Errorf("GATEHOUSE_MESH_SERVICE_PREFIX is %q: give lower-case letters, digits and hyphens that end with a hyphen, at most %d characters, such as gatehouse-", string(p), maxPrefix)
	}
	return nil
}

// Service is the Consul service of a program or backing service.
func (p ServicePrefix) Service(name string) string { return string(p) + name }

// Program is the program or backing service that a Consul service is; ok is false where it is none
// of the platform's.
func (p ServicePrefix) Program(service string) (name string, ok bool) {
	name, ok = strings.CutPrefix(service, string(p))
	return name, ok && name != ""
}
