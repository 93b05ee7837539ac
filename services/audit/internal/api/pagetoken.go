package api

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"

	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
)

// Page tokens are base64url of: version (1 byte), binding (16), microseconds since 1970 (8, big endian), position (8).
//
// The binding is a hash of the filter, so a token serves only the list that gave it. It is not a secret: whoever makes up a position
// only starts elsewhere in a list that the request may read anyway.
const (
	tokenVersion = 1
	bindingBytes = 16
	tokenBytes   = 1 + bindingBytes + 8 + 8
)

// pageToken returns the token for the page after next, or an empty one when there is no next page.
func pageToken(next *trail.Cursor, f trail.Filter) string {
	if next == nil {
		return ""
	}
	b := make([]byte, 0, tokenBytes)
	b = append(b, tokenVersion)
	b = append(b, binding(f)...)
	b = binary.BigEndian.AppendUint64(b, uint64(next.Time.UnixMicro())) // read back by the same conversion
	b = binary.BigEndian.AppendUint64(b, uint64(next.Position))         // positions are not negative
	return base64.RawURLEncoding.EncodeToString(b)
}

// parsePageToken returns the position of a token that pageToken made for the same filter, or nil for an empty token.
func parsePageToken(token string, f trail.Filter) (*trail.Cursor, error) {
	if token == "" {
		return nil, nil // no token: the first page
	}
	bad := invalid("page_token", "page_token", "must be next_page_token of the page before, with the same filters; leave it out to start again")
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) != tokenBytes || b[0] != tokenVersion || len(token) != base64.RawURLEncoding.EncodedLen(tokenBytes) {
		return nil, bad
	}
	if string(b[1:1+bindingBytes]) != string(binding(f)) {
		return nil, bad
	}
	micros := int64(binary.BigEndian.Uint64(b[1+bindingBytes:]))     // made by the opposite conversion
	position := int64(binary.BigEndian.Uint64(b[1+bindingBytes+8:])) // looked at next
	if micros < 0 || micros > maxTokenMicros || position < 0 {
		return nil, bad
	}
	return &trail.Cursor{Time: time.UnixMicro(micros).UTC(), Position: position}, nil
}

const maxTokenMicros = 253402300799999999 // 9999-12-31T23:59:59.999999Z: the end of protobuf's and well within PostgreSQL's time

// binding hashes the filter with the lengths of its parts, so that no two filters read the same.
func binding(f trail.Filter) []byte {
	h := sha256.New()
	for _, s := range []string{
		f.ActorID, f.ObjectType, f.ObjectID, f.OrganizationID, f.Action, string(f.Outcome), f.RequestID,
		f.Since.UTC().Format(time.RFC3339Nano), f.Until.UTC().Format(time.RFC3339Nano),
	} {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(s))))
		h.Write([]byte(s))
	}
	return h.Sum(nil)[:bindingBytes]
}
