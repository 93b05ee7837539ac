package target

import (
	"fmt"
	"strconv"

	"github.com/hashicorp/nomad/api"
)

// namespace is that of the platform's jobs.
const namespace = "gatehouse"

// Nomad is a client of the Nomad that runs the mesh's programs, nil where nobody says how it is
// reached. Its namespace is that of the programs.
func (t *Target) Nomad() (*api.Client, error) {
	get := func(name string) string { return Variable(t.Environ, name) }
	if get("NOMAD_ADDR") == "" {
		return nil, nil //nolint:nilnil // documented
	}
	config := &api.Config{
		Address: get("NOMAD_ADDR"), Region: get("NOMAD_REGION"), SecretID: get("NOMAD_TOKEN"), Namespace: get("NOMAD_NAMESPACE"),
		TLSConfig: &api.TLSConfig{
			CACert: get("NOMAD_CACERT"), CAPath: get("NOMAD_CAPATH"), ClientCert: get("NOMAD_CLIENT_CERT"), ClientKey: get("NOMAD_CLIENT_KEY"),
			TLSServerName: get("NOMAD_TLS_SERVER_NAME"),
		},
	}
	if config.Namespace == "" {
		config.Namespace = namespace
	}
	if value := get("NOMAD_SKIP_VERIFY"); value != "" {
		skip, err := strconv.ParseBool(value)
		if err != nil {
			return nil, fmt.Errorf("NOMAD_SKIP_VERIFY is %q: give true or false", value)
		}
		config.TLSConfig.Insecure = skip
	}
	client, err := api.NewClient(config)
	if err != nil {
		return nil, fmt.Errorf("make a client of Nomad from the NOMAD_* variables: %w", err)
	}
	return client, nil
}
