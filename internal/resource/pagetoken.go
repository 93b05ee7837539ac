package resource

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

// Page tokens are base64url of: version (1 byte), binding (16), microseconds since 1970 (8, big
// endian), id (16).
//
// The binding is a hash of the list and its filter, so a token serves only the list that gave it.
// It is not a secret: whoever makes up a position only starts elsewhere in a list that the request
// may read anyway, because the list itself comes from the request. Where that is not so, tokens are
// sealed (Seal).
const (
	tokenVersion = 1
	bindingBytes = 16
	tokenBytes   = 1 + bindingBytes + 8 + 16
)

// PageToken returns the token for the page after next, or an empty one when there is no next page.
// scope names the list and everything that selects its rows.
func PageToken(next *Cursor, scope ...string) (string, error) {
	if next == nil {
		return "", nil
	}
	id, err := uuid.Parse(next.ID)
	if err != nil {
		return "", err
	}
	b := make([]byte, 0, tokenBytes)
	b = append(b, tokenVersion)
	b = append(b, Binding("", scope)[:bindingBytes]...)
	b = appendMoment(b, next.CreateTime)
	b = append(b, id[:]...)
	return base64.RawURLEncoding.EncodeToString(b), nil
}

// ParsePageToken returns the position of a token that PageToken made for the same scope, or nil for
// an empty token.
func ParsePageToken(token string, scope ...string) (*Cursor, error) {
	if token == "" {
		return nil, nil // no token means no cursor: the first page
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) != tokenBytes || b[0] != tokenVersion || len(token) != base64.RawURLEncoding.EncodedLen(tokenBytes) {
		return nil, badPageToken()
	}
	if string(b[1:1+bindingBytes]) != string(Binding("", scope)[:bindingBytes]) {
		return nil, badPageToken()
	}
	at := moment(b[1+bindingBytes:])
	if at.Before(time.UnixMicro(0)) || at.After(time.UnixMicro(maxTokenMicros)) {
		return nil, badPageToken()
	}
	id, err := uuid.FromBytes(b[tokenBytes-16:])
	if err != nil {
		return nil, badPageToken()
	}
	return &Cursor{CreateTime: at, ID: id.String()}, nil
}

const maxTokenMicros = 253402300799999999 // 9999-12-31T23:59:59.999999Z: the end of protobuf's and well within PostgreSQL's time

func appendMoment(b []byte, t time.Time) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(t.UnixMicro())) // read back by the same conversion
}

func moment(b []byte) time.Time {
	return time.UnixMicro(int64(binary.BigEndian.Uint64(b))).UTC() //nolint:gosec // made by the opposite conversion
}

// Binding hashes what a token is for and its scope, the list and everything that selects its rows,
// with the lengths of its parts, so that no two scopes read the same.
func Binding(kind string, scope []string) []byte {
	h := sha256.New()
	h.Write([]byte(kind))
	for _, s := range scope {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(s))))
		h.Write([]byte(s))
	}
	return h.Sum(nil)
}

func badPageToken() error {
	return apierr.InvalidArgumentError().Saying("the page token is not one of this list").WithField(
		"page_token", "page_token", "must be next_page_token of the page before, with the same filter; leave it out to start again")
}
