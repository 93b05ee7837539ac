package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// A program whose key is not one says in one sentence what to do, and not what is in the file.
func TestWrongKeys(t *testing.T) {
	t.Parallel()
	good := keyFile(t, 1)
	file := func(content string, mode os.FileMode) string {
		path := filepath.Join(t.TempDir(), "some.key")
		check.NoError(t, os.WriteFile(path, []byte(content), mode))
		return path
	}
	for name, c := range map[string]struct {
		keys KeysConfig
		want string
	}{
		"missing":            {KeysConfig{File: good + "x"}, "GATEHOUSE_AUDIT_KEY_FILE) does not exist: make it with"},
		"empty":              {KeysConfig{File: file("", 0o600)}, "is not 32 random bytes"},
		"no key":             {KeysConfig{File: file("canary", 0o600)}, "is not 32 random bytes"},
		"open to others":     {KeysConfig{File: file(strings.Repeat("k", 32), 0o644)}, "chmod 600 it"},
		"a folder":           {KeysConfig{File: t.TempDir()}, "is not a regular file"},
		"wrong previous":     {KeysConfig{File: good, PreviousFile: file("canary", 0o600)}, "GATEHOUSE_AUDIT_KEY_PREVIOUS_FILE) is not 32 random bytes"},
		"the same as before": {KeysConfig{File: good, PreviousFile: good}, "leave the previous one empty"},
	} {
		if _, err := c.keys.open(); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := (KeysConfig{}).Validate(); err == nil || !strings.Contains(err.Error(), "GATEHOUSE_AUDIT_KEY_FILE is not set: name a file made by") {
		t.Errorf("none: %v", err)
	}
	for name, c := range map[string]KeysConfig{
		"raw": {File: file(strings.Repeat("k", 32), 0o600)}, "no previous": {File: good, PreviousFile: file("", 0o600)}, "two": {File: good, PreviousFile: keyFile(t, 2)},
	} {
		if _, err := c.open(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
