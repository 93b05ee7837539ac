package api_test

import (
	"testing"

	"github.com/gatehouse/gatehouse/test/conformance"
)

// What stands in for Authz in the gateway's tests answers as this does.
func TestConformance(t *testing.T) {
	t.Parallel()
	s := newService(t)
	conformance.Relationships{Server: s.Server, Administrator: s.administrator(t)}.Run(t)
}
