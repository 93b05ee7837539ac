package factor

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"strings"
)

// A recovery code is 120 random bits, in six groups of four characters.
const (
	recoveryCodes = 10
	recoveryBytes = 15
	recoveryGroup = 4
)

// CodeHash is what is stored of a recovery code. So much chance needs no key: with one, the codes
// could not be kept when the sealing key is replaced.
type CodeHash [sha256.Size]byte

// newRecoveryCodes draws codes, and returns what is stored of them.
func newRecoveryCodes(userID string) (codes []string, hashes []CodeHash) {
	for range recoveryCodes {
		var random [recoveryBytes]byte
		_, _ = rand.Read(random[:]) // never fails
		text := base32.StdEncoding.EncodeToString(random[:])
		var groups []string
		for len(text) > 0 {
			groups = append(groups, text[:recoveryGroup])
			text = text[recoveryGroup:]
		}
		shown := strings.Join(groups, "-")
		codes, hashes = append(codes, shown), append(hashes, hashCode(userID, shown))
	}
	return codes, hashes
}

// hashCode is the hash of what a user gives as a recovery code, with or without its hyphens, in
// letters of any case.
func hashCode(userID, given string) CodeHash {
	plain := strings.Map(func(r rune) rune {
		if r == '-' || r == ' ' {
			return -1
		}
		return r
	}, given)
	return sha256.Sum256([]byte(userID + "\x00" + strings.ToUpper(plain)))
}
