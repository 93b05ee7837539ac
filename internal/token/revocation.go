package token

import (
	"fmt"
	"sync"
	"time"
)

// StaleAfter is how long the revocation list answers without a word from the issuer. The feed has a heartbeat each second, and
// sign-out must bite within 5 s everywhere (R22): a list that missed more than this must not say "not revoked".
const StaleAfter = 4 * time.Second

// RevocationList is the Revocations of programs that follow the issuer's feed. Safe for concurrent use.
type RevocationList struct {
	now func() time.Time

	mu       sync.RWMutex
	sessions map[string]time.Time // session id -> when it may be forgotten
	heard    time.Time            // last word; zero before the first complete set
	sweep    time.Time            // next time the expired are forgotten
}

// NewRevocationList makes a list that answers with an error until the first Apply with reset.
func NewRevocationList(now func() time.Time) *RevocationList {
	return &RevocationList{now: now}
}

// Apply adds ended sessions; reset says that they are the complete set, which replaces what was known. It counts as a word.
// Without a complete set first, nothing is known and additions are dropped.
func (l *RevocationList) Apply(reset bool, ended []Revocation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if reset {
		l.sessions = make(map[string]time.Time, len(ended))
	} else if l.sessions == nil {
		return
	}
	for _, r := range ended {
		// A token is accepted until Leeway after its end, so its revocation lives as long.
		until := r.ExpiresAt.Add(Leeway)
		if until.After(l.sessions[r.SessionID]) {
			l.sessions[r.SessionID] = until
		}
	}
	l.heard = l.now()
	l.forget()
}

// Heard says that the issuer is there and the list is current.
func (l *RevocationList) Heard() { l.Apply(false, nil) }

// Revoked reports whether the session ended; an error when the list has been without a word for longer than StaleAfter.
func (l *RevocationList) Revoked(sessionID string) (bool, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.sessions == nil {
		return false, fmt.Errorf("no complete set of revocations was received yet")
	}
	if _, ended := l.sessions[sessionID]; ended {
		return true, nil
	}
	if silent := l.now().Sub(l.heard); silent > StaleAfter {
		return false, fmt.Errorf("the revocation feed has been silent for %s", silent.Round(time.Millisecond))
	}
	return false, nil
}

// Len is how many ended sessions are remembered.
func (l *RevocationList) Len() int {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return len(l.sessions)
}

// forget drops what has expired, at most once a minute: a token of such a session is refused as expired.
func (l *RevocationList) forget() {
	now := l.now()
	if now.Before(l.sweep) {
		return
	}
	l.sweep = now.Add(time.Minute)
	for id, until := range l.sessions {
		if until.Before(now) {
			delete(l.sessions, id)
		}
	}
}
