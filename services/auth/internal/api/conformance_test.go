package api_test

import (
	"testing"

	"github.com/gatehouse/gatehouse/test/conformance"
)

// What stands in for Auth in the gateway's tests answers as this does.
func TestConformance(t *testing.T) {
	a := newAuth(t)
	a.turn() // who begins to watch waits for a fresh look
	conformance.Auth{Server: a.Server, Read: a.read}.Run(t)
}
