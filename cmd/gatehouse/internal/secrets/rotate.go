package secrets

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Rotate makes a new value of a secret. One that may have a previous value keeps the old one as
// that, until Finish.
//
// Two passwords of a role cannot hold at once. So the programs' URLs are written first, and the
// password, by which the role is changed, after the pause.
func (k *Keeper) Rotate(ctx context.Context, name string, pause time.Duration) error {
	s, err := k.find(name)
	if err != nil {
		return err
	}
	if s.fixed != "" {
		return fmt.Errorf("%s is not rotated: %s", name, s.fixed)
	}
	if s.given {
		return k.change(ctx, k.replaceGiven)
	}
	fresh := s.make()
	if !slices.ContainsFunc(s.places, func(at place) bool { return at.form != nil }) {
		return k.change(ctx, func(kept variables) ([]string, error) { return s.replace(kept, fresh) })
	}
	err = k.change(ctx, func(kept variables) ([]string, error) {
		if _, known := s.value(kept); !known {
			return nil, s.unknown()
		}
		return s.put(kept, fresh, func(at place) bool { return at.form != nil }), nil
	})
	if err != nil {
		return err
	}
	k.progress("waiting %s until the tasks see their new URL", pause)
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return errors.New("stopped before the password was written: repeat the command")
	}
	return k.change(ctx, func(kept variables) ([]string, error) {
		return s.put(kept, fresh, func(at place) bool { return at.form == nil }), nil
	})
}

// replaceGiven writes all that somebody else has made: a certificate and its key change at once.
func (k *Keeper) replaceGiven(kept variables) ([]string, error) {
	var names []string
	for _, s := range k.secrets {
		if s.given {
			names = append(names, s.put(kept, s.make(), func(place) bool { return true })...)
		}
	}
	return names, nil
}

func (s *secret) unknown() error {
	return fmt.Errorf("there is no %s yet: make it with `gatehouse secrets ensure`", s.name)
}

// Finish forgets the previous value of a secret.
func (k *Keeper) Finish(ctx context.Context, name string) error {
	s, err := k.find(name)
	if err != nil {
		return err
	}
	if len(s.before) == 0 {
		return fmt.Errorf("%s has no previous value: leave --finish out", name)
	}
	return k.change(ctx, func(kept variables) ([]string, error) {
		var names []string
		for _, at := range s.before {
			if _, exists := kept.get(at); exists {
				kept.remove(at)
				names = append(names, at.path+" "+at.item+" (removed)")
			}
		}
		return names, nil
	})
}

// replace writes a new value, and the old one where the previous one is kept: both are items of one
// variable, which is written at once.
func (s *secret) replace(kept variables, fresh string) ([]string, error) {
	old, known := s.value(kept)
	if !known {
		return nil, s.unknown()
	}
	var names []string
	for _, at := range s.before {
		if _, being := kept.get(at); being {
			return nil, fmt.Errorf("%s is being replaced, and something may need its previous value still: end that first (docs/operations/secrets.md), then run `gatehouse secrets rotate --finish %s`", s.name, s.name)
		}
		kept.set(at, old)
		names = append(names, at.path+" "+at.item)
	}
	return append(names, s.put(kept, fresh, func(place) bool { return true })...), nil
}

func (s *secret) put(kept variables, value string, which func(place) bool) []string {
	var names []string
	for _, at := range s.places {
		if which(at) {
			kept.set(at, at.holds(value))
			names = append(names, at.path+" "+at.item)
		}
	}
	return names
}

func (k *Keeper) find(name string) (*secret, error) {
	var names []string
	for i := range k.secrets {
		if k.secrets[i].name == name {
			return &k.secrets[i], nil
		}
		names = append(names, k.secrets[i].name)
	}
	if strings.HasSuffix(name, tlsCert) || strings.HasSuffix(name, tlsKey) {
		return nil, fmt.Errorf("%s is made by others: give the new files with --tls-cert and --tls-key", name)
	}
	return nil, fmt.Errorf("there is no secret %s: name one of %s", name, strings.Join(names, ", "))
}
