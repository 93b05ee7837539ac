// Package proof owns mailed codes: what somebody has asked for by mail address waits here until
// whoever reads the mails of that address shows the code.
//
// It imports no driver, transport or generated code. The postgres package keeps what waits; what
// follows from a code happens in the transaction that uses it up.
package proof

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"time"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
)

// Code is what a mail tells, 128 random bits in base64url. It is stored and logged nowhere.
type Code string

// NewCode draws a code.
func NewCode() Code {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	return Code(base64.RawURLEncoding.EncodeToString(random[:]))
}

// Hash is what is stored of a code.
type Hash [sha256.Size]byte

// Hash returns the hash of a code, or of a text that somebody shows as one.
func (c Code) Hash() Hash { return sha256.Sum256([]byte(c)) }

// Purpose is what a code is for. A code is good for one alone.
type Purpose string

// The purposes.
const (
	SignUp      Purpose = "sign_up"      // there is no login yet: its password and name wait with the code
	Verify      Purpose = "verify"       // the address of a login
	ChangeEmail Purpose = "change_email" // the address is the new one
	Reset       Purpose = "reset"        // of a password that is lost
	Invitation  Purpose = "invitation"   // of a user who has no login yet
)

// Lasts is how long a code of the purpose is good.
func (p Purpose) Lasts() time.Duration {
	if p == Invitation {
		return 7 * 24 * time.Hour
	}
	return 10 * time.Minute
}

// Pending is what waits for its code.
type Pending struct {
	Hash                      Hash
	Purpose                   Purpose
	UserID                    string // "" while the address is nobody's
	Email                     string // that the code proves, in the form of address.Fold
	PasswordHash, DisplayName string // of a sign-up; else ""
	ReturnTo                  string // where whoever shows the code goes on, on a page; "" is nowhere in particular
	CreateTime, ExpireTime    time.Time
}

// New is something that waits from now on for as long as its purpose lasts, and its code.
func New(p Purpose, email string, now time.Time) (Pending, Code) {
	code := NewCode()
	return Pending{Hash: code.Hash(), Purpose: p, Email: email, CreateTime: now, ExpireTime: now.Add(p.Lasts())}, code
}

// ErrNotFound says that nothing waits for a code: it is unknown, of another purpose, was used, was
// replaced by a newer one, or has expired.
var ErrNotFound = errors.New("nothing waits for this code")

// Store keeps what waits. Each method is one transaction; internal/proof/prooftest holds
// implementations to these words.
//
// To use a code up is no method: it happens in the transaction of what follows from it, and of many
// at once one succeeds.
type Store interface {
	// Ask queues a mail, stores what waits for the code that it tells, and records the event, by
	// the same statements for everybody. What waits for the same purpose and user is replaced,
	// unless the address had as many mails as it may have: the code of an earlier mail then stays
	// good, since nobody learns the new one. A reset replaces nothing: strangers may ask for one,
	// too.
	Ask(ctx context.Context, p Pending, m *mail.Queued, e event.Event) error
	// Find returns what waits for a code that is good for one of the purposes, and leaves it as it
	// is; else ErrNotFound.
	Find(ctx context.Context, code Hash, now time.Time, purposes ...Purpose) (Pending, error)
	// Clean deletes at most limit of what expired before, and returns how many they were.
	Clean(ctx context.Context, before time.Time, limit int) (int, error)
}

// cleanSize is how many rows one transaction deletes at most.
const cleanSize = 500

// Clean deletes what has expired, in bounded transactions.
func Clean(ctx context.Context, s Store, now time.Time) error {
	for {
		if n, err := s.Clean(ctx, now, cleanSize); err != nil || n < cleanSize {
			return err
		}
	}
}
