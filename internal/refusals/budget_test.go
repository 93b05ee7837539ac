package refusals

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// Whoever tries one object after the other is told apart by the first ones only, and is named by
// all (R66, R90).
func TestKeysOfAnAccountAreCapped(t *testing.T) {
	t.Parallel()
	var b budgets
	minute := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	keys := map[string]int{}
	for range 2 {
		for i := range 30 {
			keys[b.key(minute, "permission.denied", "user:a", fmt.Sprint("thing:", i))]++
		}
	}
	if len(keys) != 11 || keys["user:a"] != 40 || keys["user:a thing:9"] != 2 {
		t.Errorf("30 objects have the keys %v", keys)
	}
	if got := b.key(minute, "permission.denied", "user:b", "thing:30"); got != "user:b thing:30" {
		t.Errorf("another account has the key %q", got)
	}
	if got := b.key(minute.Add(time.Minute), "permission.denied", "user:a", "thing:30"); got != "user:a thing:30" {
		t.Errorf("the next minute has the key %q", got)
	}
}

// Memory is bounded, and what is beyond the bound is still not counted with strangers.
func TestAccountsAreCapped(t *testing.T) {
	t.Parallel()
	var b budgets
	minute := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for i := range maxAccounts {
		account := fmt.Sprint("user:", i)
		if got := b.key(minute, "auth.signed_in", account, ""); got != account {
			t.Fatalf("account %d has the key %q", i, got)
		}
	}
	for account, want := range map[string]string{"user:0": "user:0", "user:new": otherAccounts} {
		if got := b.key(minute, "auth.signed_in", account, ""); got != want {
			t.Errorf("%s has the key %q, want %q", account, got, want)
		}
	}
	if n := len(b.actions["auth.signed_in"].accounts); n != maxAccounts {
		t.Errorf("%d accounts are kept", n)
	}
	if got := b.key(minute, "auth.signed_in", "", "a hash"); got != "stranger a hash" {
		t.Errorf("accounts took the budget of strangers: %q", got)
	}
}

// The whole budget of an action with the longest keys stays below 20 MB (ADR 0053). Not parallel:
// it looks at the heap of the process.
func TestMemoryOfBudgetsIsBounded(t *testing.T) {
	const most = 20_000_000
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	minute := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	long := strings.Repeat("x", maxKey-10)
	var b budgets
	before := heap()
	for i := range maxAccounts {
		account := fmt.Sprintf("%s%010d", long, i)
		for j := range maxOfAccount + 1 {
			b.key(minute, "permission.denied", account, fmt.Sprintf("%s%010d", long, j))
		}
	}
	if grown := heap() - before; grown > most {
		t.Errorf("half a million keys of %d bytes take %d bytes, want at most %d", maxKey, grown, most)
	}
	runtime.KeepAlive(&b)
}
