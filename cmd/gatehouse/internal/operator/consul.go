package operator

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/hashicorp/consul/api"
)

// Consul makes a client as Consul's own command does from its variables.
func Consul(environ []string) (*api.Client, error) {
	get := func(name string) string { return Variable(environ, name) }
	config := &api.Config{
		Address: get(api.HTTPAddrEnvName), Scheme: "http",
		Token: get(api.HTTPTokenEnvName), TokenFile: get(api.HTTPTokenFileEnvName),
		Namespace: get(api.HTTPNamespaceEnvName), Partition: get(api.HTTPPartitionEnvName),
		TLSConfig: api.TLSConfig{
			Address: get(api.HTTPTLSServerName), CAFile: get(api.HTTPCAFile), CAPath: get(api.HTTPCAPath),
			CertFile: get(api.HTTPClientCert), KeyFile: get(api.HTTPClientKey),
		},
	}
	if user, password, ok := strings.Cut(get(api.HTTPAuthEnvName), ":"); ok {
		config.HttpAuth = &api.HttpBasicAuth{Username: user, Password: password}
	}
	for name, use := range map[string]func(bool){
		api.HTTPSSLEnvName: func(on bool) {
			if on {
				config.Scheme = "https"
			}
		},
		api.HTTPSSLVerifyEnvName: func(on bool) { config.TLSConfig.InsecureSkipVerify = !on },
	} {
		value := get(name)
		if value == "" {
			continue
		}
		on, err := strconv.ParseBool(value)
		if err != nil {
			return nil, fmt.Errorf("%s is %q: give true or false", name, value)
		}
		use(on)
	}
	client, err := api.NewClient(config)
	if err != nil {
		return nil, fmt.Errorf("make a client of Consul from the CONSUL_* variables: %w", err)
	}
	return client, nil
}
