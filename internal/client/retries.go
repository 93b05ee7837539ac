package client

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/mesh"
)

// methodConfig is one entry of a gRPC service config (gRFC A2, A6).
type methodConfig struct {
	Name        []methodName `json:"name"`
	Timeout     string       `json:"timeout,omitempty"`
	RetryPolicy *retryPolicy `json:"retryPolicy,omitempty"`
}

type methodName struct {
	Service string `json:"service"`
	Method  string `json:"method"`
}

type retryPolicy struct {
	MaxAttempts          int      `json:"maxAttempts"`
	InitialBackoff       string   `json:"initialBackoff"`
	MaxBackoff           string   `json:"maxBackoff"`
	BackoffMultiplier    float64  `json:"backoffMultiplier"`
	RetryableStatusCodes []string `json:"retryableStatusCodes"`
}

// retryBudget bounds what retries add while much fails (gRFC A6): each failed attempt takes a
// token, each success gives a tenth of one back, and nothing is tried again while less than half of
// them is left. So a restart's worth of calls that fail at once are tried again, and in an outage
// one call in ten.
type retryBudget struct {
	MaxTokens  int     `json:"maxTokens"`
	TokenRatio float64 `json:"tokenRatio"`
}

// serviceConfig writes deadlines and retries of every method of the upstream.
func serviceConfig(def *mesh.Definition, c *contract.Contract, upstream string) (string, error) {
	var config struct {
		MethodConfig    []methodConfig `json:"methodConfig"`
		RetryThrottling retryBudget    `json:"retryThrottling"`
	}
	config.RetryThrottling = retryBudget{MaxTokens: 100, TokenRatio: 0.1}
	for _, row := range def.Methods {
		m, ok := c.Method(row.Path)
		if row.Callee != upstream || !ok {
			continue
		}
		service, name, _ := strings.Cut(strings.TrimPrefix(row.Path, "/"), "/")
		mc := methodConfig{Name: []methodName{{Service: service, Method: name}}}
		if !m.LongLived {
			mc.Timeout = fmt.Sprintf("%.3fs", m.Timeout.Seconds())
		}
		if repeatable(m) && !m.LongLived {
			mc.RetryPolicy = &retryPolicy{
				MaxAttempts: 3, InitialBackoff: "0.1s", MaxBackoff: "0.5s", BackoffMultiplier: 2,
				RetryableStatusCodes: []string{"UNAVAILABLE"},
			}
		}
		config.MethodConfig = append(config.MethodConfig, mc)
	}
	data, err := json.Marshal(config)
	if err != nil {
		return "", fmt.Errorf("write service config of %s: %w", upstream, err)
	}
	return string(data), nil
}

// repeatable reports whether a call may be made again behind its caller's back. UNAVAILABLE leaves
// open whether the first attempt was carried out and only its response lost, so the repeat must
// answer what the first would have. That holds where nothing changes (NO_SIDE_EFFECTS). IDEMPOTENT
// alone promises the same state, not the same answer: after a change that took an etag the repeat
// is refused as stale, after a deletion as unknown, after a sign-out as signed out. So of those
// only programs' own methods (access service) without an etag are repeated: their comments define
// that a repeat answers as the first call did.
func repeatable(m *contract.Method) bool {
	conditional := m.Descriptor.Input().Fields().ByName("etag") != nil
	return m.ReadOnly || m.Idempotent && m.Has(contract.Service) && !conditional
}
