package intentions_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/intentions"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/consultest"
)

// With a real Consul: what is denied and reset arrives, with its mark; whoever was faster is not
// overwritten.
func TestChange(t *testing.T) {
	server := consultest.New(t)
	store := intentions.Store{Consul: server.Client}
	write := func(entry api.ConfigEntry) {
		t.Helper()
		check.Within(t, 20*time.Second, "config entry", func() error { // a Consul that has just started refuses intentions
			_, _, err := server.ConfigEntries().Set(entry, nil)
			return err
		})
	}
	if _, err := store.Get(t.Context(), "stock"); !errors.Is(err, intentions.ErrMissing) {
		t.Errorf("before there is one: %v", err)
	}
	write(&api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: "stock", Protocol: "grpc"})
	made := false
	err := store.Change(t.Context(), "stock", func(live *api.ServiceIntentionsConfigEntry) (*api.ServiceIntentionsConfigEntry, error) {
		made = live == nil
		return stock(), nil
	})
	if err != nil || !made {
		t.Fatalf("make one: %v, %v", err, made)
	}
	long := mark()
	long.Reason = strings.Repeat("x", 400)
	err = store.Change(t.Context(), "stock", func(live *api.ServiceIntentionsConfigEntry) (*api.ServiceIntentionsConfigEntry, error) {
		return intentions.Deny(live, nil, "shop", "/s.S/Take", long)
	})
	if err != nil {
		t.Fatal(err)
	}
	live, err := store.Get(t.Context(), "stock")
	if err != nil || intentions.Decide(live, nil, "shop", "/s.S/Take").Allowed || !strings.Contains(intentions.Marked(live, "shop", "/s.S/Take"), "ada@desk") {
		t.Errorf("denied: %v, %+v", err, live)
	}
	err = store.Change(t.Context(), "stock", func(live *api.ServiceIntentionsConfigEntry) (*api.ServiceIntentionsConfigEntry, error) {
		return intentions.Reset(live, stock(), "shop", "")
	})
	if err != nil {
		t.Fatal(err)
	}
	if live, err = store.Get(t.Context(), "stock"); err != nil || !intentions.Decide(live, nil, "shop", "/s.S/Take").Allowed || len(live.Meta) != 1 {
		t.Errorf("reset: %v, %+v", err, live)
	}
	err = store.Change(t.Context(), "stock", func(live *api.ServiceIntentionsConfigEntry) (*api.ServiceIntentionsConfigEntry, error) {
		live.Sources = []*api.SourceIntention{from("*", allow)}
		return intentions.Deny(live, nil, "shop", "/s.S/Take", mark())
	})
	if err != nil {
		t.Errorf("Consul does not take a denial of what everybody may: %v", err)
	}
	if live, err = store.Get(t.Context(), "stock"); err != nil || intentions.Decide(live, nil, "shop", "/s.S/Take").Allowed || !intentions.Decide(live, nil, "till", "/s.S/Take").Allowed {
		t.Errorf("among everybody: %v, %+v", err, live)
	}
	check.NoError(t, store.Change(t.Context(), "stock", func(live *api.ServiceIntentionsConfigEntry) (*api.ServiceIntentionsConfigEntry, error) {
		stock := stock()
		stock.ModifyIndex = live.ModifyIndex
		return stock, nil
	}))
	concurrent(t, server, store)
}

// concurrent changes the entry while it is edited: once, and without end.
func concurrent(t *testing.T, server *consultest.Server, store intentions.Store) {
	t.Helper()
	edits := 0
	edit := func(others int) func(live *api.ServiceIntentionsConfigEntry) (*api.ServiceIntentionsConfigEntry, error) {
		return func(live *api.ServiceIntentionsConfigEntry) (*api.ServiceIntentionsConfigEntry, error) {
			edits++
			if edits <= others {
				other := *live
				other.Meta = map[string]string{"managed-by": "gatehouse", "other": strings.Repeat("x", edits)}
				if _, _, err := server.ConfigEntries().Set(&other, nil); err != nil {
					t.Fatal(err)
				}
			}
			return intentions.Deny(live, nil, "shop", "/s.S/Put", mark())
		}
	}
	err := store.Change(t.Context(), "stock", edit(100))
	if err == nil || !strings.Contains(err.Error(), "changed by somebody else") {
		t.Errorf("changed without end: %v after %d edits", err, edits)
	}
	edits = 0
	if err := store.Change(t.Context(), "stock", edit(1)); err != nil || edits != 2 {
		t.Errorf("changed once: %v after %d edits", err, edits)
	}
	live, err := store.Get(t.Context(), "stock")
	if err != nil || live.Meta["other"] != "x" || intentions.Decide(live, nil, "shop", "/s.S/Put").Allowed {
		t.Errorf("both changes: %v, %+v", err, live)
	}
	refused := errors.New("no")
	if err := store.Change(t.Context(), "stock", func(*api.ServiceIntentionsConfigEntry) (*api.ServiceIntentionsConfigEntry, error) {
		return nil, refused
	}); !errors.Is(err, refused) {
		t.Errorf("the edit's error: %v", err)
	}
}
