package secrets

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gatehouse/gatehouse/internal/mesh"
)

// Keeper writes the secrets of one platform.
type Keeper struct {
	store    store
	secrets  []secret
	progress func(format string, args ...any) // one line each
}

// New returns who keeps the secrets of a mesh at a Nomad.
func New(nomad Nomad, def *mesh.Definition, server Database, certificate Certificate, progress func(format string, args ...any)) (*Keeper, error) {
	all, err := list(def, server, certificate)
	if err != nil {
		return nil, err
	}
	kept, err := nomad.store()
	return &Keeper{store: kept, secrets: all, progress: progress}, err
}

// Ensure makes what is missing and leaves the rest alone. An item that holds something else than
// what follows from the others is an error, after everything else is done, unless repair asks for
// it to be written anew. Of several that run at once, one makes each secret.
func (k *Keeper) Ensure(ctx context.Context, repair bool) error {
	var differ []string
	err := k.change(ctx, func(kept variables) ([]string, error) {
		var made []string
		made, differ = k.complete(kept, repair)
		return made, nil
	})
	if err != nil {
		return err
	}
	if len(differ) > 0 {
		return fmt.Errorf("these items were left as they are, but differ from what the others say: %s: write them anew with --repair, or a certificate with `gatehouse secrets rotate`", strings.Join(differ, ", "))
	}
	return nil
}

// complete adds to variables what is missing, and returns the names of what it added and of what
// differs.
func (k *Keeper) complete(kept variables, repair bool) (made, differ []string) {
	for _, s := range k.secrets {
		value, known := s.value(kept)
		if !known {
			value = s.make()
		}
		if s.given && value != s.make() {
			differ = append(differ, s.places[0].path+" "+s.name)
		}
		for _, at := range s.places {
			want := at.holds(value)
			switch have, exists := kept.get(at); {
			case !exists, repair && have != want:
				kept.set(at, want)
				made = append(made, at.path+" "+at.item)
			case have != want:
				differ = append(differ, at.path+" "+at.item)
			}
		}
	}
	return made, differ
}

// value is what a secret is now.
func (s secret) value(kept variables) (string, bool) {
	for _, at := range s.places {
		if value, ok := kept.get(at); ok && at.form == nil {
			return value, true
		}
	}
	return "", false
}

// paths are those of all variables, in the order in which they are written.
func (k *Keeper) paths() []string {
	var all []string
	for _, s := range k.secrets {
		for _, at := range s.places {
			if !slices.Contains(all, at.path) {
				all = append(all, at.path)
			}
		}
	}
	return all
}

// attempts bound how often a change begins again because somebody else has written meanwhile.
const attempts = 10

// change reads all variables, lets fn change what it read, writes the difference and tells the
// names that fn returns. When somebody else has written a variable meanwhile, it begins again.
func (k *Keeper) change(ctx context.Context, fn func(variables) ([]string, error)) error {
	for range attempts {
		kept, err := k.store.read(ctx, k.paths())
		if err != nil {
			return err
		}
		names, err := fn(kept)
		if err != nil {
			return err
		}
		conflict, err := k.store.write(ctx, kept, k.paths())
		if err != nil {
			return err
		}
		if conflict {
			continue
		}
		for _, name := range names {
			k.progress("written: %s", name)
		}
		if len(names) == 0 {
			k.progress("nothing to write")
		}
		return nil
	}
	return fmt.Errorf("others have written the variables %d times meanwhile: try again when they are done", attempts)
}
