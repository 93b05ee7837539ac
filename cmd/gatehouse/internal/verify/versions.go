package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"runtime"
	"slices"

	"google.golang.org/grpc"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/host"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/rawcall"
)

// below warns of everything that runs below the production floor (R84), and of what this program is
// built with.
func below(running map[string][]string) ([]string, error) {
	warnings := []string{}
	all := maps.Clone(running)
	if all == nil {
		all = map[string][]string{}
	}
	all["go"], all["grpc-go"] = []string{runtime.Version() + ".0"}, []string{grpc.Version}
	for _, program := range slices.Sorted(maps.Keys(all)) {
		for _, text := range all[program] {
			version, err := host.ParseVersion(text)
			if err != nil {
				return nil, fmt.Errorf("read the version of %s: %w", program, err)
			}
			warning, err := host.Below(program, version)
			if err != nil {
				return nil, err
			}
			if warning != "" && !slices.Contains(warnings, warning) {
				warnings = append(warnings, warning)
			}
		}
	}
	return warnings, nil
}

// envoyVersion asks a sidecar's admin.
func envoyVersion(ctx context.Context, dial rawcall.Dialer, admin string) (string, error) {
	var envoy struct {
		Version string `json:"version"`
	}
	client := &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admin+"/server_info", nil)
	if err != nil {
		return "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return "", errors.New(response.Status)
	}
	err = json.NewDecoder(response.Body).Decode(&envoy)
	return envoy.Version, err
}
