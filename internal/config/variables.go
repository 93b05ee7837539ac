package config

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// fileSuffix ends the name of the variable that holds the path of a file with a secret.
const fileSuffix = "_FILE"

// variable is an environment variable that a flag of the model reads.
type variable struct {
	name   string
	secret bool
}

// variables are those of one program.
type variables struct {
	program string
	list    []variable
}

func (v *variables) add(name string, flag *kong.Flag) {
	if !slices.ContainsFunc(v.list, func(have variable) bool { return have.name == name }) {
		v.list = append(v.list, variable{name: name, secret: isSecret(flag.Target)})
	}
}

func (v *variables) all() []string {
	var names []string
	for _, one := range v.list {
		names = append(names, one.name)
		if one.secret {
			names = append(names, one.name+fileSuffix)
		}
	}
	return names
}

// refuseUnknown reports the first variable of env that neither this program nor another one of
// Gatehouse understands, and that Kubernetes did not make either.
func (v *variables) refuseUnknown(env map[string]string) error {
	own := v.all()
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if slices.Contains(own, name) || knownElsewhere(v.program, name) || serviceLink(name, env[name]) {
			continue
		}
		if near, ok := Nearest(name, append(own, kernelNames()...)); ok {
			return fmt.Errorf("unknown variable %s: did you mean %s? Correct the name or unset it", name, near)
		}
		return fmt.Errorf("unknown variable %s: unset it, or see --help for the variables that exist", name)
	}
	return nil
}

// resolver hands the values of environment variables to kong.
type resolver struct {
	names *variables
	env   map[string]string
}

// Validate has nothing to say: refuseUnknown has looked at the names.
func (resolver) Validate(*kong.Application) error { return nil }

// Resolve returns the value of a flag from its first variable that is set, nil when none is.
func (r resolver) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	for _, name := range flag.Envs {
		value, path, ok, err := r.lookup(name, isSecret(flag.Target))
		if err != nil || !ok {
			if err != nil {
				return nil, err
			}
			continue
		}
		if err := try(flag, value); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if path != "" {
			return fileSecret{path: path, value: &value}, nil
		}
		return value, nil
	}
	return nil, nil // kong's way of saying "not set"
}

// lookup returns the value of a variable, and the path of the file that it was read from.
func (r resolver) lookup(name string, secret bool) (value, path string, ok bool, err error) {
	value, ok = r.env[name]
	path, twin := r.env[name+fileSuffix]
	switch {
	case !secret || !twin:
		return value, "", ok, nil
	case ok:
		return "", "", false, fmt.Errorf("%s and %s%s are both set: unset one of them", name, name, fileSuffix)
	}
	if value, err = readSecret(path); err != nil {
		return "", "", false, fmt.Errorf("%s%s: %w", name, fileSuffix, err)
	}
	return value, path, true, nil
}

func readSecret(path string) (string, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("%w: create the file or correct the path", err)
	}
	value := withoutLineEnd(string(content))
	if strings.TrimSpace(value) == "" {
		return "", fmt.Errorf("%s is empty: write the secret into it", path)
	}
	return value, nil
}

// withoutLineEnd takes away the one line end that editors and echo add; blanks belong to the
// secret.
func withoutLineEnd(content string) string {
	return strings.TrimSuffix(strings.TrimSuffix(content, "\n"), "\r")
}

// gatehouseVariables picks Gatehouse's variables; the last of several settings wins, as in a process. An empty one counts as not set,
// because schedulers and compose files cannot unset.
func gatehouseVariables(environ []string) map[string]string {
	env := map[string]string{}
	for _, pair := range environ {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || !strings.HasPrefix(name, prefix) {
			continue
		}
		env[name] = value
		if value == "" {
			delete(env, name)
		}
	}
	return env
}
