package ledger

import (
	"crypto/ed25519"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// SeedLength is the length of a key in bytes: the seed of Ed25519 (RFC 8032).
const SeedLength = ed25519.SeedSize

// Keys sign checkpoints. While a key is replaced there are two and both sign, so that whoever has
// pinned either can verify.
type Keys struct {
	private []ed25519.PrivateKey // the newest first
}

// NewKeys returns the keys of their seeds; a previous one of no bytes is none.
func NewKeys(seed, previous []byte) (Keys, error) {
	var k Keys
	for i, s := range [][]byte{seed, previous} {
		if i > 0 && len(s) == 0 {
			continue
		}
		if len(s) != SeedLength {
			return Keys{}, fmt.Errorf("a key of the log has %d bytes, not %d", len(s), SeedLength)
		}
		k.private = append(k.private, ed25519.NewKeyFromSeed(s))
	}
	if len(k.private) == 2 && k.private[0].Equal(k.private[1]) {
		return Keys{}, errors.New("the key of the log and its previous one are the same: leave the previous one empty")
	}
	return k, nil
}

// Verifiers returns the verifier keys of an origin, in the form that signed notes have them
// (<name>+<hash>+<key>), the newest first.
func (k Keys) Verifiers(origin string) ([]string, error) {
	keys := make([]string, len(k.private))
	for i, private := range k.private {
		var err error
		if keys[i], err = verifierKey(origin, private); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

// sign returns the signed checkpoint of a tree.
func (k Keys) sign(origin string, tree tlog.Tree) (string, error) {
	signers := make([]note.Signer, len(k.private))
	for i, private := range k.private {
		key, err := verifierKey(origin, private)
		if err != nil {
			return "", err
		}
		verifier, err := note.NewVerifier(key)
		if err != nil {
			return "", fmt.Errorf("the log cannot sign as %q: %w", origin, err)
		}
		signers[i] = signer{verifier, private}
	}
	signed, err := note.Sign(&note.Note{Text: text(origin, tree)}, signers...)
	return string(signed), err
}

func verifierKey(origin string, private ed25519.PrivateKey) (string, error) {
	public, ok := private.Public().(ed25519.PublicKey)
	if !ok {
		return "", errors.New("not a key of Ed25519")
	}
	key, err := note.NewEd25519VerifierKey(origin, public)
	if err != nil {
		return "", fmt.Errorf("the log cannot sign as %q: %w", origin, err)
	}
	return key, nil
}

// signer signs under the name and hash of its verifier key.
type signer struct {
	note.Verifier
	private ed25519.PrivateKey
}

// Sign implements note.Signer.
func (s signer) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.private, msg), nil }
