package outbox

import (
	"slices"
	"time"
)

// What this process tells apart of one action within a minute. Strangers and accounts have budgets of their own: whoever makes up
// addresses, or has accounts to be refused with, hides nothing of what is done to others (R90, ADR 0053).
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
	actions map[string]*budget
}

// budget is that of one action.
type budget struct {
	strangers map[string]struct{}
	accounts  map[string][]string // the keys of each account
}

// key returns what a refusal is counted under: its account and key, or less when the budget of either is used up.
func (b *budgets) key(minute time.Time, action, account, key string) string {
	if !b.minute.Equal(minute) {
		b.minute, b.actions = minute, map[string]*budget{}
	}
	of := b.actions[action]
	if of == nil {
		of = &budget{strangers: map[string]struct{}{}, accounts: map[string][]string{}}
		b.actions[action] = of
	}
	if account != "" {
		return of.ofAccount(account, key)
	}
	return of.ofStranger(key)
}

func (b *budget) ofStranger(key string) string {
	if _, known := b.strangers[key]; !known {
		if len(b.strangers) >= maxStrangers {
			return otherKey
		}
		b.strangers[key] = struct{}{}
	}
	return ofStrangers + key
}

func (b *budget) ofAccount(account, key string) string {
	keys, known := b.accounts[account]
	if !known && len(b.accounts) >= maxAccounts {
		return otherAccounts
	}
	if key == "" {
		b.accounts[account] = keys
		return account
	}
	if !slices.Contains(keys, key) {
		if len(keys) >= maxOfAccount {
			return account
		}
		keys = append(keys, key)
	}
	b.accounts[account] = keys
	return account + " " + key
}
