// Package password owns how passwords are judged, normalised, hashed and verified.
//
// Hashes are argon2id (RFC 9106) in PHC strings that carry their own parameters. The Pool bounds how much of the machine hashing may
// take. Nothing here knows of logins, stores or transports; the login package uses it.
package password

import (
	"crypto/subtle"
	"fmt"
	"io"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"
)

const (
	saltLength = 16 // bytes, RFC 9106 section 3.1
	keyLength  = 32 // bytes
)

// Parameters are the cost of argon2id.
type Parameters struct {
	Memory  uint32 // KiB
	Time    uint32 // passes
	Threads uint8  // lanes
}

// Recommended is the first choice of the OWASP password storage cheat sheet for argon2id.
func Recommended() Parameters { return Parameters{Memory: 19456, Time: 2, Threads: 1} }

// Validate refuses parameters that are weaker than the five equal choices of the OWASP password storage cheat sheet.
func (p Parameters) Validate() error {
	least := map[uint32]uint32{1: 47104, 2: 19456, 3: 12288, 4: 9216}
	memory, ok := least[p.Time]
	switch {
	case p.Time == 0 || p.Threads == 0:
		return fmt.Errorf("argon2id needs at least one pass and one thread")
	case !ok:
		memory = 7168
	}
	if p.Memory < memory {
		return fmt.Errorf("argon2id with %d passes needs at least %d KiB of memory, not %d", p.Time, memory, p.Memory)
	}
	if p.Memory > maxMemory || p.Time > maxTime || p.Threads > maxThreads {
		return fmt.Errorf("argon2id parameters are limited to %d KiB, %d passes and %d threads", maxMemory, maxTime, maxThreads)
	}
	return nil
}

// Weaker reports whether p costs an attacker less than other in any respect.
func (p Parameters) Weaker(other Parameters) bool {
	return p.Memory < other.Memory || p.Time < other.Time
}

// Normalize returns the form in which a password is judged, hashed and verified: Unicode NFKC (NIST SP 800-63B-4, section 3.1.1.2), so
// that a composed and a decomposed é are one password. Nothing is trimmed, folded or cut.
func Normalize(password string) string { return norm.NFKC.String(password) }

// A derive returns length bytes of argon2id.
type derive func(p Parameters, password, salt []byte, length uint32) []byte

// idKey is a derive that takes its memory anew each time.
func idKey(p Parameters, password, salt []byte, length uint32) []byte {
	return argon2.IDKey(password, salt, p.Time, p.Memory, p.Threads, length)
}

// hash returns the PHC string of a password under p with a fresh salt from random.
func hash(key derive, random io.Reader, p Parameters, password string) (string, error) {
	salt := make([]byte, saltLength)
	if _, err := io.ReadFull(random, salt); err != nil {
		return "", fmt.Errorf("read salt: %w", err)
	}
	return encoded{Parameters: p, salt: salt, key: key(p, []byte(Normalize(password)), salt, keyLength)}.String(), nil
}

// matches reports whether password is the one that e was made from, in time that does not depend on
// where they differ.
func (e encoded) matches(key derive, password string) bool {
	return subtle.ConstantTimeCompare(key(e.Parameters, []byte(Normalize(password)), e.salt, uint32(len(e.key))), e.key) == 1 //nolint:gosec // parse bounds it
}

// Decoy returns a PHC string under p that no password matches. Verifying against it costs what verifying against a real one costs.
func Decoy(random io.Reader, p Parameters) (string, error) {
	b := make([]byte, saltLength+keyLength)
	if _, err := io.ReadFull(random, b); err != nil {
		return "", fmt.Errorf("read decoy: %w", err)
	}
	return encoded{Parameters: p, salt: b[:saltLength], key: b[saltLength:]}.String(), nil
}
