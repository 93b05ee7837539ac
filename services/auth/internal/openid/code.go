package openid

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// codeLifetime is how long an authorization code is good (R31; RFC 6749, section 4.1.2, allows ten
// minutes).
const codeLifetime = time.Minute

// Limits of a code: of its text, and of the nonce in it, so that a code fits into a URL.
const maxCode, maxNonce = 2048, 512

// code is what an authorization code holds. Nothing of it is stored before it is redeemed: it is
// sealed, so that only Auth can read or make one.
type code struct {
	SessionID string   `json:"sid"` // of the client's session that it begins, and thereby the name of the code
	ClientID  string   `json:"cid"`
	Redirect  []byte   `json:"uri"` // hash of the redirect URI of the request
	Challenge string   `json:"cha"` // S256
	Nonce     string   `json:"non,omitempty"`
	Scope     []string `json:"sco"`
	UserID    string   `json:"sub"`
	BrowserID string   `json:"bid"`
	AuthTime  int64    `json:"aut"` // Unix seconds
	AMR       []string `json:"amr"`
	Address   string   `json:"adr"` // of the browser when it signed in
	Agent     string   `json:"agt"` // of the same
	Expires   int64    `json:"exp"` // Unix milliseconds

	BrowserExpires int64 `json:"bex"` // Unix seconds: the browser session ends then
}

// Codes seals and opens authorization codes: AES-256-GCM, with a key of its own for each code that
// is derived from Auth's sealing key, so that no number of codes wears a key out. While the sealing
// key is replaced, codes are sealed with the previous one until all instances know the new one.
type Codes struct {
	current, previous []byte // previous is nil without one
	usePrevious       func() bool
}

// NewCodes returns codes over secrets of 32 bytes or more; usePrevious tells whether an instance
// may not know the current one yet, and is nil without a previous one.
func NewCodes(current, previous []byte, usePrevious func() bool) *Codes {
	return &Codes{current: current, previous: previous, usePrevious: usePrevious}
}

// saltLength is the length of what a code's key is derived from, beside the secret, in bytes.
const saltLength = 16

// CodePurpose is what the secrets of codes are for.
const CodePurpose = "gatehouse.auth.authorization_code"

// seal returns the text of a code.
func (c *Codes) seal(v code) (string, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("seal authorization code: %w", err)
	}
	secret := c.current
	if c.previous != nil && c.usePrevious() {
		secret = c.previous
	}
	salt := make([]byte, saltLength, saltLength+len(plain)+64)
	_, _ = rand.Read(salt) // never fails (crypto/rand)
	aead, err := keyOf(secret, salt)
	if err != nil {
		return "", fmt.Errorf("seal authorization code: %w", err)
	}
	sealed := aead.Seal(salt, nil, plain, nil) //nolint:gosec // this AEAD draws its nonces itself
	return base64.RawURLEncoding.EncodeToString(sealed), nil
}

// errNoCode is a text that is no code of ours.
var errNoCode = errors.New("not a code of this issuer")

// open returns what a code holds, whether it is still good or not.
func (c *Codes) open(text string) (v code, err error) {
	if len(text) > maxCode || strings.ContainsAny(text, "\r\n") { // the decoder skips line breaks
		return code{}, errNoCode
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(sealed) <= saltLength {
		return code{}, errNoCode
	}
	for _, secret := range [][]byte{c.current, c.previous} {
		if secret == nil {
			continue
		}
		aead, err := keyOf(secret, sealed[:saltLength])
		if err != nil {
			return code{}, fmt.Errorf("open authorization code: %w", err)
		}
		plain, err := aead.Open(nil, nil, sealed[saltLength:], nil)
		if err != nil {
			continue
		}
		if err := json.Unmarshal(plain, &v); err != nil {
			return code{}, fmt.Errorf("open authorization code: %w", err)
		}
		return v, nil
	}
	return code{}, errNoCode
}

func keyOf(secret, salt []byte) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, secret, salt, CodePurpose, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}
