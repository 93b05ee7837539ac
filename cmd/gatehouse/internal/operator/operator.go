// Package operator makes clients of Consul and Nomad from the operator's variables, those that their
// own commands read. They are taken from what is handed over and not from the process, where what
// one platform has exported must not reach the client of another one.
package operator

import (
	"errors"
	"slices"
	"strings"
)

// ErrNoNomad says that NOMAD_ADDR is not set.
var ErrNoNomad = errors.New("no Nomad is named: set NOMAD_ADDR, such as https://127.0.0.1:4646, and NOMAD_TOKEN " +
	"(`eval \"$(gatehouse cluster env)\"` does for the development cluster)")

// Variable is the value of a variable, the last one where it is there twice, and empty when it is
// not set.
func Variable(environ []string, name string) string {
	for _, pair := range slices.Backward(environ) {
		if value, ok := strings.CutPrefix(pair, name+"="); ok {
			return value
		}
	}
	return ""
}
