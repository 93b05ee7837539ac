package operator

import (
	"fmt"
	"strconv"

	"github.com/hashicorp/nomad/api"
)

// Namespace is Nomad's of the platform's jobs.
const Namespace = "gatehouse"

// Nomad makes a client as Nomad's own command does from its variables. Its namespace is that of the
// platform's jobs unless NOMAD_NAMESPACE names another. NOMAD_ADDR has to be set: Nomad's own
// default is a server of this machine, which nobody has meant.
func Nomad(environ []string) (*api.Client, error) {
	get := func(name string) string { return Variable(environ, name) }
	config := &api.Config{
		Address: get("NOMAD_ADDR"), Region: get("NOMAD_REGION"), SecretID: get("NOMAD_TOKEN"), Namespace: NomadNamespace(environ),
		TLSConfig: &api.TLSConfig{
			CACert: get("NOMAD_CACERT"), CAPath: get("NOMAD_CAPATH"), ClientCert: get("NOMAD_CLIENT_CERT"), ClientKey: get("NOMAD_CLIENT_KEY"),
			TLSServerName: get("NOMAD_TLS_SERVER_NAME"),
		},
	}
	if config.Address == "" {
		return nil, ErrNoNomad
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

// NomadNamespace is the namespace that the client has.
func NomadNamespace(environ []string) string {
	if name := Variable(environ, "NOMAD_NAMESPACE"); name != "" {
		return name
	}
	return Namespace
}
