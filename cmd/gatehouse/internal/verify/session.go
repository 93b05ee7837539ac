package verify

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/internal/registry"
	"github.com/gatehouse/gatehouse/internal/request"
)

const (
	tokenLife = 15 * time.Minute // of tokens that a check was killed with
	endWithin = 15 * time.Second
)

// PolicyPrefix begins the names of what a check makes for itself in Consul, before the second in
// which it was made (Unix time).
const PolicyPrefix = "gatehouse-verify-"

// session is the tokens of one check and their policy. Who has them can be any program of the mesh,
// so they are the check's alone and last no longer than it does.
type session struct {
	consul *api.Client
	now    func() time.Time
	prefix request.ServicePrefix
	secret string // of the token with the policy
	policy string // its id
	tokens []string
}

// begin makes the policy, its token, and for two of the services a token of an ordinary program.
// These are returned by program.
func (s *session) begin(ctx context.Context, programs []string) (map[string]string, error) {
	options := (&api.WriteOptions{}).WithContext(ctx)
	s.sweep(ctx)
	name := fmt.Sprintf("%s%d-%s", PolicyPrefix, s.now().Unix(), uuid.NewString())
	policy, _, err := s.consul.ACL().PolicyCreate(&api.ACLPolicy{
		Name: name, Description: "Gatehouse: one run of `gatehouse mesh verify`; left over if older than a quarter of an hour", Rules: s.rules(programs),
	}, options)
	if err != nil {
		return nil, fmt.Errorf("make a policy for the check: %w: give a Consul token with acl = \"write\"", err)
	}
	s.policy = policy.ID
	if s.secret, err = s.token(options, name, &api.ACLToken{Policies: []*api.ACLTokenPolicyLink{{ID: policy.ID}}}); err != nil {
		return nil, err
	}
	others := map[string]string{}
	for _, program := range programs[:min(2, len(programs))] {
		others[program], err = s.token(options, name, &api.ACLToken{ServiceIdentities: []*api.ACLServiceIdentity{{ServiceName: s.prefix.Service(program)}}})
		if err != nil {
			return nil, err
		}
	}
	return others, nil
}

// sweep deletes the policies of checks that were killed, whose tokens have ended by themselves. What
// cannot be deleted is nothing that this check needs.
func (s *session) sweep(ctx context.Context) {
	all, _, err := s.consul.ACL().PolicyList((&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return
	}
	for _, policy := range all {
		text, ours := strings.CutPrefix(policy.Name, PolicyPrefix)
		text, _, _ = strings.Cut(text, "-")
		made, err := strconv.ParseInt(text, 10, 64)
		if ours && err == nil && s.now().Sub(time.Unix(made, 0)) > tokenLife {
			_, _ = s.consul.ACL().PolicyDelete(policy.ID, (&api.WriteOptions{}).WithContext(ctx)) // another check may be first
		}
	}
}

func (s *session) token(options *api.WriteOptions, name string, token *api.ACLToken) (string, error) {
	token.Description, token.Local, token.ExpirationTTL = name, true, tokenLife
	made, _, err := s.consul.ACL().TokenCreate(token, options)
	if err != nil {
		return "", fmt.Errorf("make a token for the check: %w", err)
	}
	s.tokens = append(s.tokens, made.AccessorID)
	return made.SecretID, nil
}

// rules are what having a certificate signed asks for.
func (s *session) rules(programs []string) string {
	var b strings.Builder
	for _, program := range programs {
		service := s.prefix.Service(program)
		for _, name := range []string{service, registry.SidecarID(service)} {
			fmt.Fprintf(&b, "service %q {\n  policy = \"write\"\n}\n", name)
		}
	}
	return b.String()
}

// end deletes what was made, also when the check was interrupted.
func (s *session) end() error {
	ctx, cancel := context.WithTimeout(context.Background(), endWithin)
	defer cancel()
	options := (&api.WriteOptions{}).WithContext(ctx)
	var problems []error
	for _, token := range s.tokens {
		_, err := s.consul.ACL().TokenDelete(token, options)
		problems = append(problems, err)
	}
	if s.policy != "" {
		_, err := s.consul.ACL().PolicyDelete(s.policy, options)
		problems = append(problems, err)
	}
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("delete the check's tokens, which end by themselves within %s: %w", tokenLife, err)
	}
	return nil
}

func identityOf(pair tls.Certificate) identity {
	return identity{certificates: []tls.Certificate{pair}}
}
