package token

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// StaleAfter is how long the revocation list answers without a word from the issuer. The feed has a heartbeat each second, and
// sign-out must bite within 5 s everywhere (R22): a list that missed more than this must not say "not revoked".
const StaleAfter = 4 * time.Second

// RevocationList is the Revocations of programs that follow the issuer's feed. What ended stays ended until it expires, whatever the
// feed says later or leaves out. Safe for concurrent use.
type RevocationList struct {
	now func() time.Time

	mu       sync.RWMutex
	sessions map[string]time.Time // session id -> when it may be forgotten
	heard    time.Time            // when the set was last complete; zero before the first time
	sweep    time.Time            // next time the expired are forgotten
}

// NewRevocationList makes a list that says "not revoked" of no session until the first Apply with complete.
func NewRevocationList(now func() time.Time) *RevocationList {
	return &RevocationList{now: now, sessions: map[string]time.Time{}}
}

// Apply adds ended sessions. complete says that with them every session that has ended is known, so that the list is current; without
// it more of the set is still to come.
func (l *RevocationList) Apply(complete bool, ended []Revocation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range ended {
		// A token is accepted until Leeway after its end, so its revocation lives as long.
		until := r.ExpiresAt.Add(Leeway)
		if until.After(l.sessions[r.SessionID]) {
			l.sessions[r.SessionID] = until
		}
	}
	if complete {
		l.heard = l.now()
	}
	l.forget()
}

// Revoked reports whether the session ended; an error when it is not known to have, and the list was never complete or has not been for
// longer than StaleAfter.
func (l *RevocationList) Revoked(sessionID string) (bool, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if _, ended := l.sessions[sessionID]; ended {
		return true, nil
	}
	if l.heard.IsZero() {
		return false, errors.New("no complete set of revocations was received yet")
	}
	if silent := l.now().Sub(l.heard); silent > StaleAfter {
		return false, fmt.Errorf("the revocation feed has been silent for %s", silent.Round(time.Millisecond))
	}
	return false, nil
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
