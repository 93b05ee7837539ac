package registry_test

import (
	"testing"

	"github.com/gatehouse/gatehouse/internal/registry"
)

func TestConfigValidate(t *testing.T) {
	for _, c := range []struct {
		config registry.Config
		ok     bool
	}{
		{registry.Config{}, true},
		{registry.Config{Address: "127.0.0.1:9500"}, true},
		{registry.Config{Address: "127.0.0.1"}, false},
		{registry.Config{Address: "https://127.0.0.1:8501"}, false},
		{registry.Config{CA: "ca.pem"}, true},
		{registry.Config{CA: "ca.pem", Cert: "client.pem", Key: "client.key"}, true},
		{registry.Config{CA: "ca.pem", Cert: "client.pem"}, false},
		{registry.Config{CA: "ca.pem", Key: "client.key"}, false},
		{registry.Config{Cert: "client.pem", Key: "client.key"}, false},
	} {
		if err := c.config.Validate(); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c.config, err)
		}
	}
}

func TestWhereTheAgentIs(t *testing.T) {
	for want, c := range map[string]registry.Config{
		"127.0.0.1:10500": {},
		"127.0.0.1:10501": {CA: "ca.pem"},
		"127.0.0.1:9500":  {CA: "ca.pem", Address: "127.0.0.1:9500"},
	} {
		if got := c.Agent(2000); got != want {
			t.Errorf("%+v: the agent is at %s, want %s", c, got, want)
		}
	}
}
