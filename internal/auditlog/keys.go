package auditlog

import (
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
)

// Types of keys (C2SP signed-note, tlog-cosignature).
const (
	logKey     = 1 // Ed25519 over the note
	witnessKey = 4 // Ed25519 over a cosignature/v1
)

// Keys are the verifier keys that somebody trusts, who got them otherwise than with what they
// verify.
type Keys struct {
	logs      []verifier
	witnesses []verifier
}

// verifier is a key with the text that people pin.
type verifier struct {
	note.Verifier
	text string
}

// ParseKeys reads verifier keys, "name+hash+key" each: those of logs, and those of witnesses, of
// which there may be none.
func ParseKeys(logs, witnesses []string) (Keys, error) {
	var k Keys
	for _, text := range logs {
		v, kind, err := parseKey(text)
		if err == nil && kind != logKey {
			err = fmt.Errorf("the key %q is that of a witness: the log's own is needed here", text)
		}
		if err != nil {
			return Keys{}, err
		}
		k.logs = adding(k.logs, verifier{v, strings.TrimSpace(text)})
	}
	for _, text := range witnesses {
		v, kind, err := parseKey(text)
		if err == nil && kind != witnessKey {
			err = fmt.Errorf("the key %q is that of a log: a witness's is needed here", text)
		}
		if err != nil {
			return Keys{}, err
		}
		k.witnesses = adding(k.witnesses, verifier{v, strings.TrimSpace(text)})
	}
	if len(k.logs) == 0 {
		return Keys{}, errors.New("no verifier key of the log is given")
	}
	return k, nil
}

// adding is a list of keys without any twice: the note's reader takes the same key twice as an
// ambiguity.
func adding(list []verifier, v verifier) []verifier {
	for _, other := range list {
		if other.text == v.text {
			return list
		}
	}
	return append(list, v)
}

// Origins are the names of the logs' keys.
func (k Keys) Origins() []string {
	names := make([]string, 0, len(k.logs))
	for _, v := range k.logs {
		names = append(names, v.Name())
	}
	return names
}

// Witnesses is how many keys of witnesses there are.
func (k Keys) Witnesses() int { return len(k.witnesses) }

func (k Keys) verifiers() note.Verifiers {
	list := make([]note.Verifier, 0, len(k.logs)+len(k.witnesses))
	for _, v := range k.logs {
		list = append(list, v)
	}
	for _, v := range k.witnesses {
		list = append(list, v)
	}
	return note.VerifierList(list...)
}

// parseKey reads a verifier key and says of which type it is.
func parseKey(text string) (v note.Verifier, kind byte, err error) {
	text = strings.TrimSpace(text)
	bad := fmt.Errorf("the key %q is none: give name+hash+key, as `gatehouse audit key` or a witness prints it", text)
	parts := strings.SplitN(text, "+", 3)
	if len(parts) != 3 {
		return nil, 0, bad
	}
	key, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(key) != 1+ed25519.PublicKeySize {
		return nil, 0, bad
	}
	switch key[0] {
	case logKey:
		v, err = note.NewVerifier(text)
	case witnessKey:
		v, err = cosignatureVerifier(parts[0], key[1:], text)
	default:
		err = bad
	}
	if err != nil {
		return nil, 0, bad
	}
	return v, key[0], nil
}

// cosignatureVerifier makes the library's verifier by way of its signer, the only way that it has.
func cosignatureVerifier(name string, key ed25519.PublicKey, text string) (note.Verifier, error) {
	s, err := torchwood.NewCosignatureSigner(name, publicOnly{key})
	if err != nil {
		return nil, err
	}
	if s.Verifier().String() != text {
		return nil, errors.New("the hash is not that of the name and the key")
	}
	return s.Verifier(), nil
}

// publicOnly is a key that signs nothing.
type publicOnly struct{ key ed25519.PublicKey }

// Public returns the key.
func (p publicOnly) Public() crypto.PublicKey { return p.key }

// Sign refuses.
func (publicOnly) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("this is a verifier's key")
}

// NewKey makes a signing key for the log, or the witness, of that name: "PRIVATE+KEY+…".
func NewKey(random io.Reader, name string) (secret string, err error) {
	if secret, _, err = note.GenerateKey(random, name); err != nil {
		return "", fmt.Errorf("make a key for %q: %w", name, err)
	}
	if _, err := note.NewSigner(secret); err != nil { // who makes one looks at no name
		return "", fmt.Errorf("no key can have the name %q: give one without spaces and plus signs, such as example.com/audit", name)
	}
	return secret, nil
}

// errSigningKey repeats nothing of the secret.
var errSigningKey = errors.New("the signing key is damaged: it is one line that begins with PRIVATE+KEY+")

// LogKey is a log's signing key, and the verifier key that people pin.
func LogKey(secret string) (signer note.Signer, verifierKey string, err error) {
	name, private, err := readKey(secret)
	if err != nil {
		return nil, "", err
	}
	if signer, err = note.NewSigner(strings.TrimSpace(secret)); err != nil {
		return nil, "", errSigningKey
	}
	public, _ := private.Public().(ed25519.PublicKey) // it always is one
	if verifierKey, err = note.NewEd25519VerifierKey(name, public); err != nil {
		return nil, "", errSigningKey
	}
	return signer, verifierKey, nil
}

// WitnessKey is a witness's signing key, and the verifier key that people pin.
func WitnessKey(secret string) (signer note.Signer, verifierKey string, err error) {
	name, private, err := readKey(secret)
	if err != nil {
		return nil, "", err
	}
	cosigner, err := torchwood.NewCosignatureSigner(name, private)
	if err != nil {
		return nil, "", errSigningKey
	}
	return cosigner, cosigner.Verifier().String(), nil
}

func readKey(secret string) (name string, key ed25519.PrivateKey, err error) {
	secret = strings.TrimSpace(secret)
	if _, err := note.NewSigner(secret); err != nil { // compares the hash, too
		return "", nil, errSigningKey
	}
	parts := strings.SplitN(secret, "+", 5)
	seed, err := base64.StdEncoding.DecodeString(parts[4])
	if err != nil || len(seed) != 1+ed25519.SeedSize {
		return "", nil, errSigningKey
	}
	return parts[2], ed25519.NewKeyFromSeed(seed[1:]), nil
}
