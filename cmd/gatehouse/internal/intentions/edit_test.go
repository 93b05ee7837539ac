package intentions_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/intentions"
)

func stock() *api.ServiceIntentionsConfigEntry {
	e := entry("stock",
		from("shop", "", exact(allow, "/s.S/Take"), exact(allow, "/s.S/Put"), rule(deny, &api.IntentionHTTPPermission{PathPrefix: "/"})),
		from("till", allow),
		from("*", deny))
	e.Meta = map[string]string{"managed-by": "gatehouse"}
	return e
}

func mark() intentions.Mark {
	return intentions.Mark{By: "ada@desk", At: time.Date(2026, 11, 28, 21, 0, 0, 0, time.UTC), Reason: "it floods"}
}

const said = "2026-11-28T21:00:00Z by ada@desk: it floods"

func TestDenyOneMethod(t *testing.T) {
	live := stock()
	denied, err := intentions.Deny(live, nil, "shop", "/s.S/Take", mark())
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{"/s.S/Take": false, "/s.S/Put": true} {
		if got := intentions.Decide(denied, nil, "shop", path); got.Allowed != want {
			t.Errorf("%s: %+v", path, got)
		}
	}
	if got := intentions.Marked(denied, "shop", "/s.S/Take"); got != said || intentions.Marked(denied, "shop", "/s.S/Put") != "" {
		t.Errorf("it says %q in %v", got, denied.Meta)
	}
	if diff := cmp.Diff(stock(), live); diff != "" {
		t.Errorf("what was handed in has changed: %s", diff)
	}
	if _, err := intentions.Deny(denied, nil, "shop", "/s.S/Take", mark()); !errors.Is(err, intentions.ErrDenied) {
		t.Errorf("again: %v", err)
	}
}

func TestDenyAll(t *testing.T) {
	for caller, allowed := range map[string]bool{"shop": true, "till": true, "stranger": false} {
		denied, err := intentions.Deny(stock(), nil, caller, "", mark())
		if allowed != (err == nil) {
			t.Fatalf("%s: %v", caller, err)
		}
		if err == nil && (intentions.Decide(denied, nil, caller, "/s.S/Put").Allowed || intentions.Marked(denied, caller, "/s.S/Put") != said) {
			t.Errorf("%s: %+v, %v", caller, intentions.Decide(denied, nil, caller, "/s.S/Put"), denied.Meta)
		}
	}
	open := entry("stock", from("*", allow))
	denied, err := intentions.Deny(open, nil, "shop", "", mark())
	if err != nil || intentions.Decide(denied, nil, "shop", "/x").Allowed || !intentions.Decide(denied, nil, "till", "/x").Allowed {
		t.Errorf("among everybody: %v, %+v", err, denied)
	}
}

// A call that is allowed by what is said of everybody, of all services, or of a whole service, is
// denied too, and nothing else is.
func TestDenyWhatEverybodyMay(t *testing.T) {
	methods := []*api.IntentionPermission{exact(allow, "/s.S/Take"), exact(allow, "/s.S/Put")}
	const take, put = "/s.S/Take", "/s.S/Put"
	for name, c := range map[string]struct {
		own, all *api.ServiceIntentionsConfigEntry
	}{
		"everybody may":              {entry("stock", from("*", allow)), nil},
		"everybody may, by method":   {entry("stock", from("*", "", methods...)), nil},
		"the caller may all":         {entry("stock", from("shop", allow), from("*", allow)), nil},
		"the caller, of any service": {entry("stock", from("bank", deny)), entry("*", from("shop", allow), from("*", allow))},
		"everybody, of any service":  {entry("stock", from("bank", deny)), entry("*", from("*", allow))},
	} {
		for _, path := range []string{take, ""} {
			denied, err := intentions.Deny(c.own, c.all, "shop", path, mark())
			if err != nil {
				t.Errorf("%s, %q: %v", name, path, err)
				continue
			}
			if got := intentions.Decide(denied, c.all, "shop", take); got.Allowed || intentions.Marked(denied, "shop", take) != said {
				t.Errorf("%s, %q: it is not denied: %+v", name, path, got)
			}
			if got := intentions.Decide(denied, c.all, "shop", put); got.Allowed != (path == take) {
				t.Errorf("%s, %q: another method: %+v", name, path, got)
			}
			if got := intentions.Decide(denied, c.all, "till", take); !got.Allowed {
				t.Errorf("%s, %q: somebody else: %+v", name, path, got)
			}
			if _, err := intentions.Deny(denied, c.all, "shop", path, mark()); !errors.Is(err, intentions.ErrDenied) {
				t.Errorf("%s, %q: again: %v", name, path, err)
			}
		}
	}
	silent, err := intentions.Deny(entry("stock"), nil, "shop", "", mark()) // whatever Consul's default is
	if err != nil || intentions.Decide(silent, nil, "shop", take).Entry != "stock" {
		t.Errorf("nobody says anything: %v", err)
	}
	if _, err := intentions.Deny(entry("stock"), entry("*", from("*", deny)), "shop", "", mark()); !errors.Is(err, intentions.ErrDenied) {
		t.Errorf("denied for all services: %v", err)
	}
}

// What cannot be done is one sentence.
func TestDenyRefuses(t *testing.T) {
	long := mark()
	long.Reason = strings.Repeat("x", 600)
	full := stock()
	for i := range 63 {
		full.Meta[fmt.Sprint(i)] = ""
	}
	for name, c := range map[string]struct {
		entry        *api.ServiceIntentionsConfigEntry
		caller, path string
		mark         intentions.Mark
		want         string
	}{
		"a long reason": {stock(), "shop", "", long, "too long"},
		"too many":      {full, "shop", "/s.S/Take", mark(), "no room"},
	} {
		if _, err := intentions.Deny(c.entry, nil, c.caller, c.path, c.mark); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// The keys of what is noted fit into Consul's limits, however long a method's name is, and tell
// methods apart.
func TestMarksOfLongNames(t *testing.T) {
	long := "/" + strings.Repeat("package.", 20) + "Service/"
	live := entry("stock", from("shop", "", exact(allow, long+"One"), exact(allow, long+"Two")))
	denied, err := intentions.Deny(live, nil, "shop", long+"One", mark())
	if err != nil {
		t.Fatal(err)
	}
	for k := range denied.Meta {
		if len(k) > 128 {
			t.Errorf("a key has %d bytes: %s", len(k), k)
		}
	}
	if intentions.Marked(denied, "shop", long+"One") != said || intentions.Marked(denied, "shop", long+"Two") != "" {
		t.Errorf("%v", denied.Meta)
	}
}

// Reset brings back exactly what the definition says, whatever was denied in between; of one method
// the others' denials stay.
func TestReset(t *testing.T) {
	steps := func(t *testing.T, calls ...[2]string) *api.ServiceIntentionsConfigEntry {
		t.Helper()
		e := stock()
		for _, call := range calls {
			var err error
			if e, err = intentions.Deny(e, nil, call[0], call[1], mark()); err != nil {
				t.Fatal(err)
			}
		}
		return e
	}
	reset := func(t *testing.T, e *api.ServiceIntentionsConfigEntry, caller, path string) *api.ServiceIntentionsConfigEntry {
		t.Helper()
		e, err := intentions.Reset(e, stock(), caller, path)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	want := text(t, stock())
	for name, got := range map[string]*api.ServiceIntentionsConfigEntry{
		"one method":                   reset(t, steps(t, [2]string{"shop", "/s.S/Take"}), "shop", "/s.S/Take"),
		"one method, by all":           reset(t, steps(t, [2]string{"shop", "/s.S/Take"}), "shop", ""),
		"two methods, by all":          reset(t, steps(t, [2]string{"shop", "/s.S/Take"}, [2]string{"shop", "/s.S/Put"}), "shop", ""),
		"all":                          reset(t, steps(t, [2]string{"shop", ""}), "shop", ""),
		"a method and then all":        reset(t, steps(t, [2]string{"shop", "/s.S/Take"}, [2]string{"shop", ""}), "shop", ""),
		"a connection":                 reset(t, steps(t, [2]string{"till", ""}), "till", ""),
		"one that was allowed by hand": reset(t, handmade("stranger"), "stranger", ""),
		"one that is gone":             reset(t, without("shop"), "shop", ""),
		"nothing":                      reset(t, stock(), "shop", "/s.S/Take"),
	} {
		if diff := cmp.Diff(want, text(t, got)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	both := steps(t, [2]string{"shop", "/s.S/Take"}, [2]string{"shop", "/s.S/Put"}, [2]string{"till", ""})
	one := reset(t, both, "shop", "/s.S/Put")
	for call, allowed := range map[[2]string]bool{{"shop", "/s.S/Take"}: false, {"shop", "/s.S/Put"}: true, {"till", ""}: false} {
		if got := intentions.Decide(one, nil, call[0], call[1]); got.Allowed != allowed {
			t.Errorf("%v: %+v", call, got)
		}
		if got := intentions.Marked(one, call[0], call[1]); (got == "") != allowed {
			t.Errorf("%v: %q is said", call, got)
		}
	}
	if _, err := intentions.Reset(steps(t, [2]string{"shop", ""}), stock(), "shop", "/s.S/Put"); err == nil || !strings.Contains(err.Error(), "without the method") {
		t.Errorf("one method of a whole denial: %v", err)
	}
	byHand := stock()
	byHand.Sources = append(byHand.Sources, from("stranger", "", exact(allow, "/s.S/Take"), exact(allow, "/s.S/Put")))
	for _, path := range []string{"/s.S/Take", "/s.S/Put"} {
		var err error
		if byHand, err = intentions.Deny(byHand, nil, "stranger", path, mark()); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(want, text(t, reset(t, byHand, "stranger", "/s.S/Put"))); diff != "" {
		t.Errorf("a method of one that the definition does not have: %s", diff)
	}
}

// A denial of some requests is none of all: those that it does not meet are denied, too.
func TestDenyWhatIsDeniedInPart(t *testing.T) {
	some := exact(deny, "/s.S/Take")
	some.HTTP.Header = []api.IntentionHTTPHeaderPermission{{Name: "x"}}
	denied, err := intentions.Deny(entry("stock", from("shop", "", some, exact(allow, "/s.S/Take"))), nil, "shop", "/s.S/Take", mark())
	if err != nil {
		t.Fatal(err)
	}
	if got := intentions.Decide(denied, nil, "shop", "/s.S/Take"); got.Allowed || got.Unsure {
		t.Errorf("%+v", got)
	}
}

// handmade is the stock's with somebody who was allowed by hand.
func handmade(name string) *api.ServiceIntentionsConfigEntry {
	e := stock()
	e.Sources = append([]*api.SourceIntention{from(name, allow)}, e.Sources...)
	return e
}

func without(name string) *api.ServiceIntentionsConfigEntry {
	e := stock()
	for i, source := range e.Sources {
		if source.Name == name {
			e.Sources = append(e.Sources[:i], e.Sources[i+1:]...)
			break
		}
	}
	return e
}

// text is an entry as it is sent: Consul keeps the order of its sources.
func text(t *testing.T, e *api.ServiceIntentionsConfigEntry) string {
	t.Helper()
	raw, err := json.Marshal(map[string]any{"meta": e.Meta, "sources": e.Sources})
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
