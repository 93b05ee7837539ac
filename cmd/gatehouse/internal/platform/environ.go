package platform

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
	"github.com/gatehouse/gatehouse/consul/agent"
	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/plan"
)

// restVariable opens the REST doors of services.
const restVariable = "GATEHOUSE_REST"

// ownMachine returns what programs are told on a machine of one's own, unless the operator says
// otherwise. Tools such as grpcurl find methods by name, and services answer REST themselves: every
// local process has the protos anyway, and reaches every port. Everybody may sign up. Tokens are
// issued where the gateway is, so that an OAuth client finds the issuer under its name. A program
// that stops need not wait until the others have noticed, unless there is a second instance to
// which they can go.
func ownMachine(instances int, issuer string) []string {
	pairs := []string{"GATEHOUSE_GRPC_REFLECTION=true", restVariable + "=true", "GATEHOUSE_AUTH_SIGN_UP=open"}
	if issuer != "" {
		pairs = append(pairs, "GATEHOUSE_TOKEN_ISSUER="+issuer)
	}
	if instances == 1 {
		pairs = append(pairs, "GATEHOUSE_DRAIN_DELAY=0s")
	}
	return pairs
}

// answersREST reports whether services answer REST themselves. One whose variable is neither true
// nor false says so when it starts.
func answersREST(operators []string) bool {
	on := true
	for _, pair := range operators {
		if value, ok := strings.CutPrefix(pair, restVariable+"="); ok {
			if said, err := strconv.ParseBool(value); err == nil {
				on = said
			}
		}
	}
	return on
}

// instanceVariable tells a program which instance it is, and thereby its ports.
const instanceVariable = "GATEHOUSE_MESH_INSTANCE"

// environ is the environment of a process: the machine's, what the plan says, and the operator's
// own settings for the program.
func (p *Platform) environ(one process) ([]string, error) {
	told := p.opts.Environ
	for _, pair := range ownMachine(p.opts.Scale.Of(one.Program), p.opts.Gateway.Issuer) {
		if name, _, _ := strings.Cut(pair, "="); !plan.IsSet(told, name) {
			told = append(slices.Clip(told), pair)
		}
	}
	planned, err := p.plan.Environ(one.Task, told, func(v plan.Variable) (string, error) { return p.value(one, v) })
	if err != nil {
		return nil, err
	}
	env := append(p.baseEnviron(), planned...)
	if one.of.number > 1 {
		env = append(env, instanceVariable+"="+strconv.Itoa(one.of.number))
	}
	return env, nil
}

// value is what the plan leaves to the machine.
func (p *Platform) value(one process, v plan.Variable) (string, error) {
	switch v.Source {
	case plan.PortOffset:
		return strconv.Itoa(p.opts.Offset), nil
	case plan.TrustDomain:
		return p.trustDomain(), nil
	case plan.Datacenter:
		return agent.Datacenter, nil
	case plan.ServicePrefix:
		return string(p.opts.Prefix), nil
	case plan.SecretFile:
		return p.secretFile(one, v)
	}
	return "", fmt.Errorf("%s: no value for its %s", v.Name, v.Source)
}

// secretFile is the path of a secret, which is made when it does not exist yet; instances share it.
// The URL of a database, which has no kind, is made with its role, one for each instance.
func (p *Platform) secretFile(one process, v plan.Variable) (string, error) {
	if v.Before {
		return p.secretOfBefore(v)
	}
	generate, known := map[string]func() (string, error){contract.KeySecret: state.Key, contract.PasswordSecret: state.Password}[v.Kind]
	switch {
	case known:
		if _, err := p.opts.Dir.Secret(v.Secret, generate); err != nil {
			return "", err
		}
	case v.Kind == "":
		return p.opts.Dir.SecretPath(urlFile(one.Role, one.of.number)), nil
	default:
		return "", fmt.Errorf("%s: the secret %s is a %s, which this command cannot make: take the command of the same version", v.Name, v.Secret, v.Kind)
	}
	return p.opts.Dir.SecretPath(v.Secret), nil
}

// secretOfBefore is the path of what the operator keeps while a secret is replaced; "" when there
// is none.
func (p *Platform) secretOfBefore(v plan.Variable) (string, error) {
	switch _, err := p.opts.Dir.ReadSecret(v.Secret); {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", err
	}
	return p.opts.Dir.SecretPath(v.Secret), nil
}
