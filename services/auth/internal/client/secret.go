package client

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"time"
)

// secretLength is the length of a client secret in bytes: 256 random bits.
const secretLength = 32

// newSecret draws a secret: the text that is shown once, and what is stored of it.
func newSecret(random io.Reader, id string, now time.Time) (text string, s Secret, err error) {
	raw := make([]byte, secretLength)
	if _, err := io.ReadFull(random, raw); err != nil {
		return "", Secret{}, fmt.Errorf("draw client secret: %w", err)
	}
	text = base64.RawURLEncoding.EncodeToString(raw) // needs no encoding in a form or a header (RFC 6749, section 2.3.1)
	return text, Secret{ID: id, Hash: sha256.Sum256([]byte(text)), CreateTime: now}, nil
}
