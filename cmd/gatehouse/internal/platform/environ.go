package platform

import (
	"fmt"
	"strconv"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
	"github.com/gatehouse/gatehouse/consul/agent"
	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/plan"
)

// reflectionVariable lets grpcurl and its like find methods by name.
const reflectionVariable = "GATEHOUSE_GRPC_REFLECTION"

// environ is the environment of a task: the machine's, what the plan says, and the operator's own
// settings for the program.
func (p *Platform) environ(task plan.Task) ([]string, error) {
	planned, err := p.plan.Environ(task, p.opts.Environ, p.value)
	if err != nil {
		return nil, err
	}
	env := append(p.baseEnviron(), planned...)
	if !plan.IsSet(p.opts.Environ, reflectionVariable) {
		env = append(env, reflectionVariable+"=true") // every local process has the protos anyway: this is a machine of one's own
	}
	return env, nil
}

// value is what the plan leaves to the machine.
func (p *Platform) value(v plan.Variable) (string, error) {
	switch v.Source {
	case plan.PortOffset:
		return strconv.Itoa(p.opts.Offset), nil
	case plan.TrustDomain:
		return p.trustDomain(), nil
	case plan.Datacenter:
		return agent.Datacenter, nil
	case plan.SecretFile:
		return p.secretFile(v)
	}
	return "", fmt.Errorf("%s: no value for its %s", v.Name, v.Source)
}

// secretFile is the path of a secret, which is made when it does not exist yet. The URL of a
// database, which has no kind, is made with its role.
func (p *Platform) secretFile(v plan.Variable) (string, error) {
	generate, known := map[string]func() (string, error){contract.KeySecret: state.Key, contract.PasswordSecret: state.Password}[v.Kind]
	switch {
	case known:
		if _, err := p.opts.Dir.Secret(v.Secret, generate); err != nil {
			return "", err
		}
	case v.Kind != "":
		return "", fmt.Errorf("%s: the secret %s is a %s, which this command cannot make: take the command of the same version", v.Name, v.Secret, v.Kind)
	}
	return p.opts.Dir.SecretPath(v.Secret), nil
}
