package request

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"regexp"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

// ConsistencyHeader is the metadata key of a request's consistency token, and of the token in the
// trailer of a response. One request has one token.
const ConsistencyHeader = "x-gatehouse-consistency"

// Position is a place in the write-ahead log of one PostgreSQL cluster.
type Position struct {
	System   uint64 // system identifier of the cluster
	Timeline uint32 // changes when a standby is promoted
	LSN      uint64
}

// ConsistencyToken means "at least as fresh as": a read with the token of a write reflects that
// write. It names the write by the message that will carry it, or by the position after which it
// stands. The zero token names nothing. Authz makes and honours tokens; everybody else passes them
// on as opaque text.
type ConsistencyToken struct {
	event    string
	position Position
}

// TokenOf returns the token of a write that travels as a message; id is the message's UUID.
func TokenOf(id string) ConsistencyToken { return ConsistencyToken{event: id} }

// TokenAt returns the token of everything that was written before p.
func TokenAt(p Position) ConsistencyToken { return ConsistencyToken{position: p} }

// EventID returns the message that the token names; ok is false for a position.
func (t ConsistencyToken) EventID() (id string, ok bool) { return t.event, t.event != "" }

// Position returns the position that the token names; ok is false for a message.
func (t ConsistencyToken) Position() (p Position, ok bool) {
	return t.position, t.event == "" && t != ConsistencyToken{}
}

// Kinds of tokens, the first byte of their text.
const (
	kindEvent    = 'e'
	kindPosition = 'p'
)

const positionLen = 1 + 8 + 4 + 8

// String returns the token as opaque, URL-safe text; "" for the zero token.
func (t ConsistencyToken) String() string {
	switch {
	case t == ConsistencyToken{}:
		return ""
	case t.event != "":
		return encoding().EncodeToString([]byte(string(kindEvent) + t.event))
	}
	b := make([]byte, 0, positionLen)
	b = append(b, kindPosition)
	b = binary.BigEndian.AppendUint64(b, t.position.System)
	b = binary.BigEndian.AppendUint32(b, t.position.Timeline)
	b = binary.BigEndian.AppendUint64(b, t.position.LSN)
	return encoding().EncodeToString(b)
}

var uuidForm = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// ParseToken reads what String writes. Everything else is InvalidArgument
// INVALID_CONSISTENCY_TOKEN.
func ParseToken(s string) (ConsistencyToken, error) {
	b, err := encoding().DecodeString(s)
	if err != nil || len(b) == 0 || len(s) != encoding().EncodedLen(len(b)) { // the decoder skips line ends
		return ConsistencyToken{}, invalid()
	}
	switch {
	case b[0] == kindEvent && uuidForm.Match(b[1:]):
		return TokenOf(string(b[1:])), nil
	case b[0] == kindPosition && len(b) == positionLen:
		t := TokenAt(Position{
			System: binary.BigEndian.Uint64(b[1:]), Timeline: binary.BigEndian.Uint32(b[9:]), LSN: binary.BigEndian.Uint64(b[13:]),
		})
		if t == (ConsistencyToken{}) {
			return ConsistencyToken{}, invalid()
		}
		return t, nil
	}
	return ConsistencyToken{}, invalid()
}

func encoding() *base64.Encoding { return base64.RawURLEncoding.Strict() }

func invalid() error {
	return apierr.InvalidConsistencyToken()
}

// WithConsistency returns a context that carries the request's token.
func WithConsistency(ctx context.Context, token string) context.Context {
	k := of(ctx)
	k.consistency = token
	return with(ctx, k)
}

// Consistency returns the request's token, "" if it has none.
func Consistency(ctx context.Context) string { return of(ctx).consistency }

// Wrote says the token of what the request wrote; the server sends it in the trailer. The last one
// counts: it names the later write. Outside of a request it does nothing.
func Wrote(ctx context.Context, token string) {
	if w := of(ctx).written; w != nil {
		w.set(token)
	}
}
