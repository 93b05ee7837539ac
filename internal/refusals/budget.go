package refusals

import (
	"hash/maphash"
	"slices"
	"time"
)

// What this process tells apart of one action within a minute. Strangers and accounts have budgets
// of their own: whoever makes up addresses hides nothing of what is done to an account (R90, ADR
// 0053). A denial is counted with the account that was denied: beyond its budget that account hides
// which objects it tried, but not itself.
const (
	maxStrangers = 1000   // keys without an account; the others share otherKey
	maxAccounts  = 50_000 // accounts; the others share otherAccounts
	maxOfAccount = 10     // keys of one account; the others are its own, and still name it

	ofStrangers   = "stranger " // before the key of a stranger, which may look like an account
	otherKey      = "other"
	otherAccounts = "other accounts"
)

// budgets are what was told apart in one minute.
type budgets struct {
	minute  time.Time
	seed    maphash.Seed // nobody outside can choose texts of one hash
	actions map[string]*budget
}

// budget is that of one action. It keeps hashes, so that its size does not depend on what callers
// send.
type budget struct {
	strangers map[uint64]struct{}
	accounts  map[uint64][]uint64 // the keys of each account
}

// key returns what a refusal is counted under: its account and key, or less when the budget of
// either is used up.
func (b *budgets) key(minute time.Time, action, account, key string) string {
	if !b.minute.Equal(minute) {
		b.minute, b.seed, b.actions = minute, maphash.MakeSeed(), map[string]*budget{}
	}
	of := b.actions[action]
	if of == nil {
		of = &budget{strangers: map[uint64]struct{}{}, accounts: map[uint64][]uint64{}}
		b.actions[action] = of
	}
	switch {
	case account == "" && of.stranger(b.hash(key)):
		return ofStrangers + key
	case account == "":
		return otherKey
	case !of.account(b.hash(account)):
		return otherAccounts
	case key == "" || !of.keyOf(b.hash(account), b.hash(key)):
		return account
	}
	return account + " " + key
}

func (b *budgets) hash(text string) uint64 { return maphash.String(b.seed, text) }

// stranger reports whether the key is told apart.
func (b *budget) stranger(key uint64) bool {
	if _, known := b.strangers[key]; !known && len(b.strangers) >= maxStrangers {
		return false
	}
	b.strangers[key] = struct{}{}
	return true
}

// account reports whether the account is told apart.
func (b *budget) account(account uint64) bool {
	keys, known := b.accounts[account]
	if !known && len(b.accounts) >= maxAccounts {
		return false
	}
	b.accounts[account] = keys
	return true
}

// keyOf reports whether the key of the account is told apart.
func (b *budget) keyOf(account, key uint64) bool {
	keys := b.accounts[account]
	if slices.Contains(keys, key) {
		return true
	}
	if len(keys) >= maxOfAccount {
		return false
	}
	b.accounts[account] = append(keys, key)
	return true
}
