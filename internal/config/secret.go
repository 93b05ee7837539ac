package config

import (
	"encoding/json"
	"fmt"
	"log/slog"

	"github.com/alecthomas/kong"
)

// redacted is what a secret prints as, everywhere.
const redacted = "[redacted]"

// Secret is a value that must not reach a log, an error or a page: every way of printing it says "[redacted]". Only Reveal gives it
// out. As a field of a configuration struct it has a twin variable whose name ends in _FILE and holds the path of a file to read it from.
type Secret struct {
	value *string // a pointer, so that even %+v of an enclosing struct prints an address only
	path  string  // of the file that it was read from; empty without one
}

// NewSecret wraps a value that came from elsewhere than the configuration.
func NewSecret(value string) Secret { return Secret{value: &value} }

// Reveal returns the value itself, "" when none was set. Pass it straight to its user.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// Again returns the secret as its file has it now, for who must follow a change. One that came from
// elsewhere is returned as it is.
func (s Secret) Again() (Secret, error) {
	if s.path == "" {
		return s, nil
	}
	value, err := readSecret(s.path)
	if err != nil {
		return Secret{}, fmt.Errorf("read a secret again: %w", err)
	}
	return Secret{value: &value, path: s.path}, nil
}

// IsZero reports whether no value, or an empty one, was set.
func (s Secret) IsZero() bool { return s.Reveal() == "" }

// String prints a placeholder.
func (s Secret) String() string {
	if s.IsZero() {
		return ""
	}
	return redacted
}

// GoString prints a placeholder for %#v.
func (s Secret) GoString() string { return fmt.Sprintf("config.Secret(%q)", s.String()) }

// Format prints a placeholder for every verb, %x included.
func (s Secret) Format(f fmt.State, verb rune) {
	text := s.String()
	if verb == 'v' && f.Flag('#') {
		text = s.GoString()
	}
	_, _ = f.Write([]byte(text))
}

// MarshalJSON prints a placeholder.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// MarshalText prints a placeholder.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue prints a placeholder.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// fileSecret is a value with the file that it was read from, on its way through kong.
type fileSecret struct {
	path  string
	value *string
}

// String prints a placeholder.
func (fileSecret) String() string { return redacted }

// Decode takes the value from the command line or the environment; kong calls it.
func (s *Secret) Decode(ctx *kong.DecodeContext) error {
	token, err := ctx.Scan.PopValue("secret")
	if err != nil {
		return fmt.Errorf("read the value of --%s", ctx.Value.Name) // kong's own text would repeat the value
	}
	switch value := token.Value.(type) {
	case string:
		s.value, s.path = &value, ""
	case fileSecret:
		s.value, s.path = value.value, value.path
	default:
		return fmt.Errorf("read the value of --%s", ctx.Value.Name)
	}
	return nil
}
