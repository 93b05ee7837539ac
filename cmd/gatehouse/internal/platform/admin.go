package platform

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// closeAdmin adds to an Envoy bootstrap what the admin port answers: whether the sidecar is ready, what it is and how it does. Every
// local user reaches that port, and its /config_dump would give away the service's Consul token, and with that its private key; nor may
// everybody end the sidecar.
func closeAdmin(bootstrap []byte) ([]byte, error) {
	var config map[string]any
	decoder := json.NewDecoder(bytes.NewReader(bootstrap))
	decoder.UseNumber()
	if err := decoder.Decode(&config); err != nil {
		return nil, fmt.Errorf("read the bootstrap of a sidecar: %w", err)
	}
	admin, ok := config["admin"].(map[string]any)
	if !ok {
		return nil, errors.New("read the bootstrap of a sidecar: it has no admin port")
	}
	exact := func(path string) any { return map[string]string{"exact": path} }
	admin["allow_paths"] = []any{
		exact("/ready"), exact("/server_info"), exact("/clusters"), exact("/listeners"), exact("/certs"), // public parts only
		exact("/stats"), map[string]string{"prefix": "/stats?"}, map[string]string{"prefix": "/stats/prometheus"},
	}
	closed, err := json.Marshal(config)
	if err != nil {
		return nil, fmt.Errorf("write the bootstrap of a sidecar: %w", err)
	}
	return closed, nil
}
