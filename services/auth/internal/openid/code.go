package openid

import (
	"time"

	"github.com/gatehouse/gatehouse/services/auth/internal/seal"
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

// Codes seals and opens authorization codes.
type Codes struct{ box *seal.Box }

// NewCodes returns codes over secrets of 32 bytes or more; usePrevious tells whether an instance
// may not know the current one yet, and is nil without a previous one.
func NewCodes(current, previous []byte, usePrevious func() bool) *Codes {
	return &Codes{seal.NewBox(CodePurpose, current, previous, usePrevious)}
}

// CodePurpose is what the secrets of codes are for.
const CodePurpose = "gatehouse.auth.authorization_code"

// seal returns the text of a code.
func (c *Codes) seal(v code) (string, error) { return c.box.SealText(v) }

// open returns what a code holds, whether it is still good or not; seal.ErrNotOurs when it is none.
func (c *Codes) open(text string) (v code, err error) {
	if len(text) > maxCode {
		return code{}, seal.ErrNotOurs
	}
	err = c.box.OpenText(text, &v)
	return v, err
}
