package target

import (
	"errors"
	"strconv"
	"strings"

	"github.com/hashicorp/consul/api"
	nomad "github.com/hashicorp/nomad/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/operator"
)

// API is the host:port of Consul's API, empty where that is not HTTPS.
func (t *Target) API() string {
	scheme, address, found := strings.Cut(operator.Variable(t.Environ, api.HTTPAddrEnvName), "://")
	if !found {
		scheme, address = "", scheme
	}
	secured, err := strconv.ParseBool(operator.Variable(t.Environ, api.HTTPSSLEnvName))
	if scheme == "https" || err == nil && secured && scheme != "unix" {
		return address
	}
	return ""
}

// HasToken reports whether a token is named with which Consul is asked.
func (t *Target) HasToken() bool {
	return operator.Variable(t.Environ, api.HTTPTokenEnvName) != "" || operator.Variable(t.Environ, api.HTTPTokenFileEnvName) != ""
}

// Nomad is a client of the Nomad that runs the mesh's programs, nil where nobody says how it is
// reached. Its namespace is that of the programs.
func (t *Target) Nomad() (*nomad.Client, error) {
	client, err := operator.Nomad(t.Environ)
	if errors.Is(err, operator.ErrNoNomad) {
		return nil, nil //nolint:nilnil // documented
	}
	return client, err
}
