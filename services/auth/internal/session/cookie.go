package session

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"strconv"
	"time"
)

// CookieName is the name of the cookie of a browser session. With the prefix a browser keeps the
// cookie only when it came with Secure, for this host alone and for all of its paths (RFC 6265bis,
// section 4.1.3.2).
const CookieName = "__Host-gatehouse"

// CookieAttributes are those of every cookie here (R24). SameSite is Lax, not Strict: a
// person who comes back from a client's page must be known here.
const CookieAttributes = "; Path=/; Secure; HttpOnly; SameSite=Lax"

// Cookie is the value of the Set-Cookie header that hands out what Begin returned. The cookie is
// kept for as long as the session can last.
func Cookie(cookie string, b Browser) string {
	seconds := int(b.ExpireTime.Sub(b.AuthTime) / time.Second)
	return CookieName + "=" + cookie + "; Max-Age=" + strconv.Itoa(seconds) + CookieAttributes
}

// NoCookie is the value of the Set-Cookie header that takes the cookie away.
func NoCookie() string { return CookieName + "=; Max-Age=0" + CookieAttributes }

// secret is what a cookie holds: 256 random bits, of which only the SHA-256 is stored.
type secret [secretLength]byte

func newSecret(random io.Reader) (s secret, err error) {
	if _, err := io.ReadFull(random, s[:]); err != nil {
		return s, fmt.Errorf("draw cookie: %w", err)
	}
	return s, nil
}

// parseSecret accepts exactly what compact writes.
func parseSecret(cookie string) (s secret, ok bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(cookie)
	if err != nil || len(b) != secretLength || len(cookie) != base64.RawURLEncoding.EncodedLen(secretLength) {
		return secret{}, false
	}
	copy(s[:], b)
	return s, true
}

func (s secret) compact() string { return base64.RawURLEncoding.EncodeToString(s[:]) }

func (s secret) hash() [sha256.Size]byte { return sha256.Sum256(s[:]) }
