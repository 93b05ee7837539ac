// Package signingkeytest is the conformance suite of signingkey.Store: what its comments promise, checked against a real implementation.
package signingkeytest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/services/auth/internal/signingkey"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Database is one empty database.
type Database struct {
	signingkey.Store
	Purpose signingkey.Purpose // of the store's keys, which have the algorithm EdDSA
	// Recorded returns what was recorded for Audit so far, in order.
	Recorded func(t *testing.T) []event.Event
}

// Run runs the suite; open gives each test an empty database.
func Run(t *testing.T, open func(t *testing.T) Database) {
	t.Run("change stores the difference", func(t *testing.T) { change(t, open(t)) })
	t.Run("a refused change changes nothing", func(t *testing.T) { refused(t, open(t)) })
	t.Run("changes take turns", func(t *testing.T) { turns(t, open(t)) })
	t.Run("two active keys are refused", func(t *testing.T) { oneActive(t, open(t)) })
	t.Run("nothing changes without an event", func(t *testing.T) { unrecorded(t, open(t)) })
	t.Run("a key is sealed anew", func(t *testing.T) { sealedAnew(t, open(t)) })
}

func (s Database) key(id string, state signingkey.State, at time.Time) signingkey.Key {
	return signingkey.Key{
		ID: id, Purpose: s.Purpose, Algorithm: "EdDSA", State: state, Public: []byte{1}, Sealed: []byte{2}, CreateTime: at, StateTime: at,
	}
}

func set(t *testing.T, keys ...signingkey.Key) func([]signingkey.Key) (signingkey.Plan, error) {
	return func(stored []signingkey.Key) (signingkey.Plan, error) {
		return signingkey.Plan{Keys: keys, Events: signingkey.Events(t.Context(), stored, keys)}, nil
	}
}

func list(t *testing.T, s signingkey.Store) []signingkey.Key {
	t.Helper()
	keys, err := s.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range keys {
		keys[i].CreateTime, keys[i].StateTime = keys[i].CreateTime.UTC(), keys[i].StateTime.UTC()
	}
	return keys
}

func change(t *testing.T, s Database) {
	later := epoch.Add(time.Hour)
	a, b, c := s.key("a", signingkey.Active, epoch), s.key("b", signingkey.Next, epoch.Add(time.Second)), s.key("c", signingkey.Next, later)
	aRetired, bActive := a, b
	aRetired.State, aRetired.StateTime = signingkey.Retired, later
	bActive.State, bActive.StateTime = signingkey.Active, later
	for step, want := range [][]signingkey.Key{{a, b}, {aRetired, bActive, c}, {bActive, c}} {
		got, err := s.Change(t.Context(), set(t, want...))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("step %d: Change = %v, %v; want %v", step, got, err, want)
		}
		if got := list(t, s); !reflect.DeepEqual(got, want) {
			t.Fatalf("step %d: List = %v\nwant %v", step, got, want)
		}
	}
	var recorded []string // R66
	for _, e := range s.Recorded(t) {
		recorded = append(recorded, fmt.Sprintf("%s %s %s", strings.TrimPrefix(e.Action, "auth.signing_key_"), e.ObjectID, e.Changes[1].Value))
		if e.Actor.Type != event.Service || e.Actor.ID != "auth" || e.ObjectType != "signing_key" {
			t.Errorf("recorded %+v, want Auth's own work on a key", e)
		}
	}
	want := []string{
		`created a "active"`, `created b "next"`, `changed a "retired"`, `changed b "active"`, `created c "next"`, `removed a "retired"`,
	}
	if !slices.Equal(recorded, want) {
		t.Fatalf("recorded %q, want %q", recorded, want)
	}
}

func refused(t *testing.T, s Database) {
	want := []signingkey.Key{s.key("a", signingkey.Active, epoch)}
	if _, err := s.Change(t.Context(), set(t, want...)); err != nil {
		t.Fatal(err)
	}
	refusal := errors.New("no")
	_, err := s.Change(t.Context(), func([]signingkey.Key) (signingkey.Plan, error) { return signingkey.Plan{}, refusal })
	if err != refusal { //nolint:errorlint // the very same error is promised
		t.Fatalf("Change = %v, want the plan's own error", err)
	}
	if got := list(t, s); !reflect.DeepEqual(got, want) {
		t.Fatalf("List = %v, want %v", got, want)
	}
}

// turns adds one retired key per call; each plan must see all keys of the calls before it.
func turns(t *testing.T, s Database) {
	ctx := context.WithoutCancel(t.Context())
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			_, err := s.Change(ctx, func(keys []signingkey.Key) (signingkey.Plan, error) {
				more := append(slices.Clone(keys), s.key(fmt.Sprintf("key-%d", len(keys)), signingkey.Retired, epoch))
				return signingkey.Plan{Keys: more, Events: signingkey.Events(ctx, keys, more)}, nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := list(t, s); len(got) != 10 {
		t.Fatalf("%d keys after 10 parallel changes, want 10", len(got))
	}
}

func oneActive(t *testing.T, s Database) {
	_, err := s.Change(t.Context(), set(t, s.key("a", signingkey.Active, epoch), s.key("b", signingkey.Active, epoch)))
	if err == nil {
		t.Fatal("two active keys were stored")
	}
	if got := list(t, s); len(got) != 0 || len(s.Recorded(t)) != 0 { // R67
		t.Fatalf("List = %v with %d events, want nothing", got, len(s.Recorded(t)))
	}
}

// unrecorded makes plans that say nothing of what they change (R68).
func unrecorded(t *testing.T, s Database) {
	want := []signingkey.Key{s.key("a", signingkey.Active, epoch)}
	if _, err := s.Change(t.Context(), set(t, want...)); err != nil {
		t.Fatal(err)
	}
	retired := want[0]
	retired.State = signingkey.Retired
	for name, keys := range map[string][]signingkey.Key{
		"a new key": {want[0], s.key("b", signingkey.Next, epoch)}, "a retired key": {retired}, "a key that goes": nil,
	} {
		_, err := s.Change(t.Context(), func([]signingkey.Key) (signingkey.Plan, error) { return signingkey.Plan{Keys: keys}, nil })
		if got := list(t, s); err == nil || !reflect.DeepEqual(got, want) || len(s.Recorded(t)) != 1 {
			t.Errorf("%s: %v, and the keys are %v", name, err, got)
		}
	}
	same := func([]signingkey.Key) (signingkey.Plan, error) { return signingkey.Plan{Keys: want}, nil }
	if _, err := s.Change(t.Context(), same); err != nil {
		t.Errorf("a plan that changes nothing: %v", err)
	}
}

func sealedAnew(t *testing.T, s Database) {
	a := s.key("a", signingkey.Active, epoch)
	if _, err := s.Change(t.Context(), set(t, a)); err != nil {
		t.Fatal(err)
	}
	anew := a
	anew.Sealed = []byte{3}
	silent := func([]signingkey.Key) (signingkey.Plan, error) {
		return signingkey.Plan{Keys: []signingkey.Key{anew}}, nil
	}
	if _, err := s.Change(t.Context(), silent); err == nil || !reflect.DeepEqual(list(t, s), []signingkey.Key{a}) {
		t.Errorf("without an event: %v, and the key is %v", err, list(t, s))
	}
	recorded := func([]signingkey.Key) (signingkey.Plan, error) {
		e := event.Own(t.Context(), "auth", "auth.signing_key_resealed", "signing_key")
		e.ObjectID = a.ID
		return signingkey.Plan{Keys: []signingkey.Key{anew}, Events: []event.Event{e}}, nil
	}
	if _, err := s.Change(t.Context(), recorded); err != nil || !reflect.DeepEqual(list(t, s), []signingkey.Key{anew}) {
		t.Errorf("with an event: %v, and the key is %v", err, list(t, s))
	}
}
