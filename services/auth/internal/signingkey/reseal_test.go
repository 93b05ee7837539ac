package signingkey_test

import (
	"crypto/rand"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/gatehouse/gatehouse/services/auth/internal/signingkey"
)

const oldKey, newKey = 1, 2

func (w *world) reseal(sealingKeys ...byte) signingkey.Resealed {
	w.t.Helper()
	done, err := signingkey.Reseal(w.t.Context(), w.sealer(sealingKeys...), rand.Reader, w.store)
	if err != nil {
		w.t.Fatal(err)
	}
	return done
}

// The sealing key is replaced while instances from before run beside those of after: those with
// both keys leave what they make openable for the others until everything is sealed anew at once.
func TestSealingKeyIsReplacedWhileInstancesRun(t *testing.T) {
	w := newWorld(t)
	before, both := w.instance(policy, oldKey), w.instance(policy, newKey, oldKey)
	w.refresh(before)
	w.refresh(both)
	if two, needed := both.Sealing(); !two || !needed {
		t.Errorf("with both keys: two %t, the previous one needed %t", two, needed)
	}
	made := w.states()[signingkey.Next]
	for range 2 { // the second one also retires a key that the instance with both has made
		w.now = w.now.Add(policy.Interval)
		w.refresh(both)
		w.refresh(before)
		if err := w.verifies(before, w.sign(both)); err != nil {
			t.Fatalf("an instance with the old key alone, beside one with both: %v", err)
		}
		if err := w.verifies(both, w.sign(before)); err != nil {
			t.Fatal(err)
		}
	}
	if w.states()[signingkey.Next] == made {
		t.Fatal("no key was made meanwhile")
	}

	signed := w.sign(both)
	if done := w.reseal(newKey, oldKey); done.Changed != done.Keys || done.Changed < 2 {
		t.Errorf("resealed %+v, want all of at least two", done)
	}
	if done := w.reseal(newKey, oldKey); done.Changed != 0 {
		t.Errorf("again: %+v", done)
	}
	after := w.instance(policy, newKey)
	w.refresh(after)
	w.refresh(both)
	for name, k := range map[string]*signingkey.Keeper{"both": both, "the new key alone": after} {
		if err := w.verifies(k, signed); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, needed := k.Sealing(); needed {
			t.Errorf("%s: the previous key is needed still", name)
		}
	}
	w.now = w.now.Add(policy.Interval)
	w.refresh(both)
	w.refresh(after)
	if err := w.verifies(after, w.sign(both)); err != nil {
		t.Errorf("a key made after: %v", err)
	}
	if err := before.Refresh(t.Context()); !errors.Is(err, signingkey.ErrWrongSealingKey) {
		t.Errorf("the old key alone: %v, want ErrWrongSealingKey", err)
	}
}

// Sealing anew with keys that open nothing changes nothing.
func TestResealRefusesTheWrongKey(t *testing.T) {
	w := newWorld(t)
	w.refresh(w.instance(policy, oldKey))
	stored, err := w.store.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, keys := range [][]byte{{newKey}, {newKey, 3}} {
		if _, err := signingkey.Reseal(t.Context(), w.sealer(keys...), rand.Reader, w.store); !errors.Is(err, signingkey.ErrWrongSealingKey) {
			t.Errorf("%v: %v, want ErrWrongSealingKey", keys, err)
		}
	}
	now, err := w.store.List(t.Context())
	if err != nil || !slices.EqualFunc(stored, now, func(a, b signingkey.Key) bool { return a.ID == b.ID && slices.Equal(a.Sealed, b.Sealed) }) {
		t.Errorf("the stored keys changed: %v", err)
	}
}

// Sealing anew and rotations take turns: nothing is lost, and in the end the new key alone opens all.
func TestResealBesideRotations(t *testing.T) {
	w := newWorld(t)
	w.refresh(w.instance(policy, oldKey))
	for range 5 {
		w.now = w.now.Add(policy.Interval)
		var wg sync.WaitGroup
		for range 3 {
			k := w.instance(policy, newKey, oldKey)
			wg.Go(func() {
				if err := k.Refresh(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		sealer := w.sealer(newKey, oldKey)
		wg.Go(func() {
			if _, err := signingkey.Reseal(t.Context(), sealer, rand.Reader, w.store); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
	}
	after, both := w.instance(policy, newKey), w.instance(policy, newKey, oldKey)
	w.refresh(after)
	w.refresh(both)
	if err := w.verifies(after, w.sign(both)); err != nil {
		t.Error(err)
	}
}
