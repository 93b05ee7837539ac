package app

import (
	"io"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/internal/config"
)

func TestConfigRefusesNoUsers(t *testing.T) {
	for env, want := range map[string]string{
		"GATEHOUSE_IDENTITY_PERSONAL_USERS=0": "GATEHOUSE_IDENTITY_PERSONAL_USERS is 0", "GATEHOUSE_IDENTITY_PERSONAL_USER=5": "did you mean GATEHOUSE_IDENTITY_PERSONAL_USERS",
	} {
		var c struct {
			Serve Config `cmd:"" default:"withargs"`
		}
		_, err := config.Parse(Name, &c, nil, []string{"GATEHOUSE_POSTGRES_URL=postgres://identity:x@127.0.0.1:1/gatehouse", env}, io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want one with %q", env, err, want)
		}
	}
}
