package session

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
)

// secretLength is the length of each half of a refresh token in bytes: 256 random bits.
const secretLength = 32

// A refresh token is opaque to clients. It has two halves: the family, which all tokens of a session share, and a secret of its own.
// Only the SHA-256 of each is stored (they are random, so a slow hash would add nothing). Whoever presents a known family with another
// secret than the newest once held a token of this session, so it was stolen or used twice; nobody can claim that by guessing. This
// detects reuse for the whole life of a session with one row.
type refreshToken struct {
	family, secret [secretLength]byte
}

// newRefreshToken draws a whole token.
func newRefreshToken(random io.Reader) (refreshToken, error) {
	var t refreshToken
	if _, err := io.ReadFull(random, t.family[:]); err != nil {
		return t, fmt.Errorf("draw refresh token: %w", err)
	}
	return t.next(random)
}

// next draws the token that follows t in its family.
func (t refreshToken) next(random io.Reader) (refreshToken, error) {
	if _, err := io.ReadFull(random, t.secret[:]); err != nil {
		return t, fmt.Errorf("draw refresh token: %w", err)
	}
	return t, nil
}

// parseRefreshToken accepts exactly what compact writes.
func parseRefreshToken(s string) (t refreshToken, ok bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != 2*secretLength || t.compactLength() != len(s) {
		return refreshToken{}, false
	}
	copy(t.family[:], b)
	copy(t.secret[:], b[secretLength:])
	return t, true
}

func (t refreshToken) compact() string {
	return base64.RawURLEncoding.EncodeToString(append(t.family[:], t.secret[:]...))
}

// compactLength guards against line breaks, which the decoder skips.
func (refreshToken) compactLength() int { return base64.RawURLEncoding.EncodedLen(2 * secretLength) }

// familyHash binds the tokens of a client, "" for the platform's own sign-in, to it: whoever else
// presents one names a family that nobody has.
func (t refreshToken) familyHash(clientID string) [sha256.Size]byte {
	return sha256.Sum256(append(t.family[:], clientID...))
}

func (t refreshToken) secretHash() [sha256.Size]byte { return sha256.Sum256(t.secret[:]) }
