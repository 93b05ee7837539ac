package signingkey

import (
	"context"
	"io"
	"slices"
)

// Resealed is what Reseal did.
type Resealed struct {
	Keys    int // that are stored
	Changed int // that were sealed with the previous key
}

// Reseal seals anew, with the current key, every stored signing key that the previous one has
// sealed: all of a store or none, with an event for each. From then on new keys are sealed with the
// current one, too, and nobody needs the previous one. Instances that do not know the current key
// can load no signing keys any more: call it when all know both. After an error call it again.
func Reseal(ctx context.Context, sealer *Sealer, random io.Reader, stores ...Store) (Resealed, error) {
	var all Resealed
	for _, store := range stores {
		done, err := reseal(ctx, store, sealer, random)
		if err != nil {
			return all, err
		}
		all.Keys, all.Changed = all.Keys+done.Keys, all.Changed+done.Changed
	}
	return all, nil
}

func reseal(ctx context.Context, store Store, sealer *Sealer, random io.Reader) (Resealed, error) {
	var done Resealed
	keys, err := store.Change(ctx, func(stored []Key) (Plan, error) {
		done.Changed = 0
		plan := Plan{Keys: slices.Clone(stored)}
		for i, k := range plan.Keys {
			private, byPrevious, err := sealer.open(k)
			if err != nil {
				return Plan{}, err
			}
			if !byPrevious {
				continue
			}
			if plan.Keys[i].Sealed, err = sealer.seal(random, k, private); err != nil {
				return Plan{}, err
			}
			plan.Events = append(plan.Events, happened(ctx, "auth.signing_key_resealed", k))
			done.Changed++
		}
		return plan, nil
	})
	done.Keys = len(keys)
	return done, err
}
