package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime"

	"github.com/hashicorp/consul/api"
	"google.golang.org/grpc"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/host"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
	"github.com/gatehouse/gatehouse/internal/mesh"
)

// listening names every socket of the platform that is open to other machines and not the edge's.
func listening(record state.Record, def *mesh.Definition) ([]string, error) {
	open := []string{}
	for _, process := range record.Processes {
		if program, err := def.Program(process.Name); err == nil && program.Edge {
			continue
		}
		found, err := host.ListenersOf(process.PID)
		if errors.Is(err, os.ErrNotExist) {
			continue // ended meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w: run this as the user that runs the platform", process.Name, err)
		}
		for _, socket := range found {
			if !socket.Address.Addr().IsLoopback() {
				open = append(open, fmt.Sprintf("%s (process %d) listens on %s %s", process.Name, process.PID, socket.Network, socket.Address))
			}
		}
	}
	return open, nil
}

// versions warns of everything that runs below the production floor (R84).
func (m *matrix) versions(ctx context.Context) ([]string, error) {
	warnings := []string{}
	running := map[string]string{"go": runtime.Version() + ".0", "grpc-go": grpc.Version}
	var consul struct {
		Config struct{ Version string }
	}
	if _, err := m.consul.Raw().Query("/v1/agent/self", &consul, (&api.QueryOptions{}).WithContext(ctx)); err != nil {
		return nil, fmt.Errorf("ask Consul for its version: %w", err)
	}
	running["consul"] = consul.Config.Version
	for _, p := range m.instances() {
		var envoy struct {
			Version string `json:"version"`
		}
		if err := getJSON(ctx, "http://"+m.address(p.Admin)+"/server_info", &envoy); err != nil {
			return nil, fmt.Errorf("ask %s's sidecar for its version: %w", p.ID(), err)
		}
		running["envoy"] = envoy.Version
	}
	for _, program := range []string{"consul", "envoy", "go", "grpc-go"} {
		version, err := host.ParseVersion(running[program])
		if err != nil {
			return nil, fmt.Errorf("read the version of %s: %w", program, err)
		}
		warning, err := host.Below(program, version)
		if err != nil {
			return nil, err
		}
		if warning != "" {
			warnings = append(warnings, warning)
		}
	}
	return warnings, nil
}

// getJSON reads a small JSON page of a loopback API.
func getJSON(ctx context.Context, url string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	return json.NewDecoder(response.Body).Decode(into)
}
