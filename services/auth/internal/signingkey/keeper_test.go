package signingkey_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/token"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/auth/internal/signingkey"
)

var policy = signingkey.Policy{Algorithm: token.EdDSA, MaxAge: 5 * time.Minute, Interval: 24 * time.Hour}

// world is one database that several instances keep.
type world struct {
	t     *testing.T
	store *postgres.SigningKeys
	now   time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return &world{t: t, store: postgrestest.Open(t).SigningKeys, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
}

// instance knows one sealing key, or the previous one besides.
func (w *world) instance(p signingkey.Policy, sealingKeys ...byte) *signingkey.Keeper {
	w.t.Helper()
	return signingkey.NewKeeper(p, w.store, w.sealer(sealingKeys...), rand.Reader, func() time.Time { return w.now })
}

func (w *world) sealer(sealingKeys ...byte) *signingkey.Sealer {
	w.t.Helper()
	var keys [2][]byte
	for i, key := range sealingKeys {
		keys[i] = bytes.Repeat([]byte{key}, signingkey.SealingKeyLength)
	}
	sealer, err := signingkey.NewSealer(keys[0], keys[1])
	if err != nil {
		w.t.Fatal(err)
	}
	return sealer
}

func (w *world) refresh(k *signingkey.Keeper) {
	w.t.Helper()
	if err := k.Refresh(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// states returns the ids of the stored keys by state.
func (w *world) states() map[signingkey.State]string {
	w.t.Helper()
	keys, err := w.store.List(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	ids := map[signingkey.State]string{}
	for _, k := range keys {
		ids[k.State] += k.ID
	}
	return ids
}

func (w *world) sign(k *signingkey.Keeper) string {
	w.t.Helper()
	compact, err := k.Sign(token.Claims{
		Issuer: "https://id.example", Audience: []string{"gatehouse"}, Subject: "u", ClientID: "gatehouse", SessionID: "s", OrganizationID: "o",
		ID: "j", IssuedAt: w.now, ExpiresAt: w.now.Add(token.MaxTTL),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return compact
}

type never struct{}

func (never) Revoked(string) (bool, error) { return false, nil }

// verifies checks a token against the keys that an instance publishes.
func (w *world) verifies(k *signingkey.Keeper, compact string) error {
	v := token.NewVerifier(token.Config{Issuer: "https://id.example", Audience: "gatehouse"}, k, never{}, func() time.Time { return w.now })
	_, err := v.Verify(w.t.Context(), compact)
	return err
}

func published(t *testing.T, k *signingkey.Keeper) []string {
	t.Helper()
	keys, maxAge, err := k.Set()
	if err != nil || maxAge != policy.MaxAge {
		t.Fatalf("Set: %v, %v", maxAge, err)
	}
	var ids []string
	for _, key := range keys {
		ids = append(ids, key.ID)
	}
	return ids
}

func TestNothingIsKnownBeforeTheFirstRefresh(t *testing.T) {
	k := newWorld(t).instance(policy, 1)
	_, errSign := k.Sign(token.Claims{})
	_, errKey := k.Key(t.Context(), "x")
	_, _, errSet := k.Set()
	for i, err := range []error{errSign, errKey, errSet, k.Check(t.Context())} {
		if e := apierr.From(err); err == nil || e.Kind != apierr.Unavailable || e.Reason != "KEYS_UNAVAILABLE" {
			t.Errorf("%d: %v, want KEYS_UNAVAILABLE", i, err)
		}
	}
}

func TestInstancesStartTogetherOnOneKey(t *testing.T) {
	w := newWorld(t)
	var instances []*signingkey.Keeper
	var wg sync.WaitGroup
	for range 4 {
		k := w.instance(policy, 1)
		instances = append(instances, k)
		wg.Go(func() {
			if err := k.Refresh(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, a := range instances {
		for _, b := range instances {
			if err := w.verifies(a, w.sign(b)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if keys, _ := w.store.List(t.Context()); len(keys) != 2 {
		t.Fatalf("%d keys, want active and next", len(keys))
	}
}

func TestEachAlgorithmSigns(t *testing.T) { // R41
	for _, algorithm := range []string{token.EdDSA, token.ES256} {
		w, p := newWorld(t), policy
		p.Algorithm = algorithm
		k := w.instance(p, 1)
		w.refresh(k)
		if err := w.verifies(k, w.sign(k)); err != nil {
			t.Errorf("%s: %v", algorithm, err)
		}
	}
}

// TestRotation walks through one rotation with a second instance that looks later than the first (R48).
func TestRotation(t *testing.T) {
	w := newWorld(t)
	first, second := w.instance(policy, 1), w.instance(policy, 1)
	w.refresh(first)
	w.refresh(second)
	before := w.states()
	if !slices.Contains(published(t, first), before[signingkey.Next]) {
		t.Fatal("the next key is not published")
	}

	w.now = w.now.Add(policy.Interval - time.Second)
	w.refresh(first)
	if got := w.states(); got[signingkey.Active] != before[signingkey.Active] {
		t.Fatal("rotated too early")
	}
	w.now = w.now.Add(time.Second)
	w.refresh(first)
	after := w.states()
	if after[signingkey.Active] != before[signingkey.Next] || after[signingkey.Retired] != before[signingkey.Active] || after[signingkey.Next] == "" {
		t.Fatalf("states = %v, before %v", after, before)
	}
	if err := w.verifies(second, w.sign(first)); err != nil {
		t.Fatalf("an instance that did not look yet refuses the new key: %v", err)
	}
	late := w.sign(second) // still with the retired key
	w.refresh(second)
	w.now = w.now.Add(token.MaxTTL - time.Second)
	w.refresh(first)
	if err := w.verifies(first, late); err != nil {
		t.Fatalf("a valid token of the retired key: %v", err)
	}
	w.now = w.now.Add(5 * time.Minute)
	w.refresh(first)
	w.refresh(second)
	if slices.Contains(published(t, second), before[signingkey.Active]) || w.states()[signingkey.Retired] != "" {
		t.Fatal("the retired key is published after its last token expired")
	}
}

func TestChangedAlgorithmTakesOverAfterNotice(t *testing.T) {
	w := newWorld(t)
	w.refresh(w.instance(policy, 1))
	before := w.states()
	changed := policy
	changed.Algorithm = token.ES256
	k := w.instance(changed, 1)
	w.refresh(k)
	noticed := w.states()
	if noticed[signingkey.Active] != before[signingkey.Active] || noticed[signingkey.Next] == before[signingkey.Next] {
		t.Fatalf("states = %v, before %v; want another next key and the same active one", noticed, before)
	}
	w.now = w.now.Add(changed.Notice() - time.Second)
	w.refresh(k)
	if got := w.states(); got[signingkey.Active] != before[signingkey.Active] {
		t.Fatal("the new key signs before every cache can know it")
	}
	w.now = w.now.Add(time.Second)
	w.refresh(k)
	if got := w.states(); got[signingkey.Active] != noticed[signingkey.Next] {
		t.Fatalf("states = %v, want %s active", got, noticed[signingkey.Next])
	}
	if err := w.verifies(k, w.sign(k)); err != nil {
		t.Fatal(err)
	}
}

func TestWrongSealingKeyChangesNothing(t *testing.T) {
	w := newWorld(t)
	w.refresh(w.instance(policy, 1))
	before := w.states()
	wrong := w.instance(policy, 2)
	if err := wrong.Refresh(t.Context()); !errors.Is(err, signingkey.ErrWrongSealingKey) {
		t.Fatalf("Refresh = %v, want ErrWrongSealingKey", err)
	}
	w.now = w.now.Add(2 * policy.Interval) // a rotation is due
	if err := wrong.Refresh(t.Context()); !errors.Is(err, signingkey.ErrWrongSealingKey) {
		t.Fatalf("Refresh when a rotation is due = %v, want ErrWrongSealingKey", err)
	}
	after := w.states()
	if len(after) != len(before) || after[signingkey.Active] != before[signingkey.Active] {
		t.Fatalf("states = %v, before %v", after, before)
	}
	if wrong.Check(t.Context()) == nil {
		t.Fatal("ready without keys")
	}
}

// An instance that reads no more is not ready: what it signs with may be retired, and forgotten, elsewhere.
func TestCheckFailsWhileTheKeysAreNotRead(t *testing.T) {
	w := newWorld(t)
	k := w.instance(policy, 1)
	for range 2 { // the second time after a fault
		if !k.Due() {
			t.Fatal("nothing is due")
		}
		w.refresh(k)
		if k.Due() {
			t.Fatal("due again at once")
		}
		w.now = w.now.Add(2 * policy.Reload())
		if err := k.Check(t.Context()); err != nil || !k.Due() {
			t.Fatalf("after two intervals: %v, due %v", err, k.Due())
		}
		w.now = w.now.Add(time.Millisecond)
		if err := k.Check(t.Context()); apierr.From(err) == nil || apierr.From(err).Reason != "KEYS_UNAVAILABLE" {
			t.Fatalf("after more than two intervals without a read: %v", err)
		}
	}
}

func TestKeysStayInUseWhileTheStoreIsGone(t *testing.T) {
	w := newWorld(t)
	k := w.instance(policy, 1)
	w.refresh(k)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := k.Refresh(gone); err == nil {
		t.Fatal("the refresh did not fail")
	}
	if err := w.verifies(k, w.sign(k)); err != nil {
		t.Fatal(err)
	}
}
