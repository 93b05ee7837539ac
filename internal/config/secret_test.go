package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/internal/config"
)

// R74: a planted secret appears in nothing that prints.
func TestASecretIsNeverPrinted(t *testing.T) {
	const canary = "canary-3b9f"
	type enclosing struct {
		Public  config.Secret
		private config.Secret
	}
	secret := config.NewSecret(canary)
	values := map[string]any{"itself": secret, "pointer": &secret, "enclosed": enclosing{secret, secret}, "list": []config.Secret{secret}}
	for name, value := range values {
		var out bytes.Buffer
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			fmt.Fprintf(&out, verb+"\n", value)
		}
		fmt.Fprintln(&out, value)
		if body, err := json.Marshal(value); err != nil {
			t.Errorf("%s: %v", name, err)
		} else {
			out.Write(body)
		}
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "value", value)
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "value", value)
		if text := out.String(); strings.Contains(text, canary) || strings.Contains(text, fmt.Sprintf("%x", canary)) {
			t.Errorf("%s printed the secret:\n%s", name, text)
		}
	}
	if secret.Reveal() != canary {
		t.Error("Reveal does not give the value")
	}
	if got := fmt.Sprint(secret); got != "[redacted]" {
		t.Errorf("prints as %q", got)
	}
	if got := fmt.Sprint(config.Secret{}); got != "" {
		t.Errorf("a secret that is not set prints as %q", got)
	}
}
