package secrets

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"

	"github.com/hashicorp/nomad/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/operator"
)

// Nomad is how Nomad is reached: by the variables that its own command reads.
type Nomad struct{ Environ []string }

// store returns the variables of a namespace, found by nothing but the environment that was given.
func (n Nomad) store() (store, error) {
	client, err := operator.Nomad(n.Environ)
	if err != nil {
		return store{}, err
	}
	return store{client: client, namespace: operator.NomadNamespace(n.Environ), token: operator.Variable(n.Environ, "NOMAD_TOKEN") != ""}, nil
}

// variables are Nomad's by their path, as they were read and as they should be.
type variables map[string]*variable

type variable struct {
	index   uint64 // of the last change; 0 where there is no variable
	items   api.VariableItems
	changed bool
}

func (v variables) get(at place) (string, bool) {
	value, ok := v[at.path].items[at.item]
	return value, ok
}

func (v variables) set(at place, value string) {
	one := v[at.path]
	one.changed = one.changed || one.items[at.item] != value
	one.items[at.item] = value
}

func (v variables) remove(at place) {
	delete(v[at.path].items, at.item)
	v[at.path].changed = true
}

// store is Nomad's.
type store struct {
	client    *api.Client
	namespace string
	token     bool // one is given
}

func (s store) read(ctx context.Context, paths []string) (variables, error) {
	if err := s.namespaceExists(ctx); err != nil {
		return nil, err
	}
	kept := variables{}
	for _, path := range paths {
		found, _, err := s.client.Variables().Peek(path, (&api.QueryOptions{}).WithContext(ctx))
		if err != nil {
			return nil, s.explain(ctx, "read the variable "+path, err)
		}
		kept[path] = &variable{items: api.VariableItems{}}
		if found != nil {
			kept[path].index, kept[path].items = found.ModifyIndex, maps.Clone(found.Items)
		}
	}
	return kept, nil
}

// write writes what has changed, and reports whether somebody else has written a variable since it
// was read. Those before it are written then.
func (s store) write(ctx context.Context, kept variables, paths []string) (conflict bool, err error) {
	for _, path := range paths {
		one := kept[path]
		if !one.changed {
			continue
		}
		_, _, err := s.client.Variables().CheckedUpdate(&api.Variable{Path: path, Items: one.items, ModifyIndex: one.index}, (&api.WriteOptions{}).WithContext(ctx))
		if errors.As(err, new(api.ErrCASConflict)) {
			return true, nil
		}
		if err != nil {
			return false, s.explain(ctx, "write the variable "+path, err)
		}
	}
	return false, nil
}

func (s store) namespaceExists(ctx context.Context) error {
	_, _, err := s.client.Namespaces().Info(s.namespace, (&api.QueryOptions{}).WithContext(ctx))
	var answer api.UnexpectedResponseError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &answer) && answer.StatusCode() == http.StatusNotFound:
		what := s.namespace
		if what == operator.Namespace {
			what = "-json nomad/acl/namespace.json" // which says what may run in it, too
		}
		return fmt.Errorf("Nomad has no namespace %s: make it with `nomad namespace apply %s`, or name another in NOMAD_NAMESPACE", s.namespace, what)
	}
	return s.explain(ctx, "look for the namespace "+s.namespace, err)
}

// explain says what Nomad lacks, or who asked, or that nobody waits any more.
func (s store) explain(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: stopped: what was written stays, and the same command goes on from there", what)
	}
	var answer api.UnexpectedResponseError
	if !errors.As(err, &answer) {
		return fmt.Errorf("%s: Nomad does not answer at %s: start it, or correct NOMAD_ADDR and the certificates in NOMAD_CACERT, NOMAD_CLIENT_CERT and NOMAD_CLIENT_KEY: %w", what, s.client.Address(), err)
	}
	if answer.StatusCode() != http.StatusForbidden && answer.StatusCode() != http.StatusUnauthorized {
		return fmt.Errorf("%s: %w", what, err)
	}
	if !s.token {
		return fmt.Errorf("%s: Nomad wants a token: set NOMAD_TOKEN to one that may write variables of the namespace %s", what, s.namespace)
	}
	if _, _, err := s.client.ACLTokens().Self((&api.QueryOptions{}).WithContext(ctx)); err != nil {
		return fmt.Errorf("%s: Nomad does not know the token in NOMAD_TOKEN: set one of this cluster that has not expired", what)
	}
	return fmt.Errorf("%s: the token in NOMAD_TOKEN may not do that: take one whose policy has the capabilities read and write for the variables nomad/jobs/* of the namespace %s", what, s.namespace)
}
