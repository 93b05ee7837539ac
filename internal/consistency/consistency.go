// Package consistency carries tokens that mean "at least as fresh as": a read with the token of a write reflects that write.
//
// Authz makes and honours them; everybody else passes them on as opaque text. Everybody may import it.
package consistency

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"regexp"
	"sync"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

// Key is the metadata key of a request's token, and of the token in the trailer of an answer. One request has one token.
const Key = "x-gatehouse-consistency"

// Position is a place in the write-ahead log of one PostgreSQL cluster.
type Position struct {
	System   uint64 // system identifier of the cluster
	Timeline uint32 // changes when a standby is promoted
	LSN      uint64
}

// Token names a write: by the event that will carry it, or by the position after which it stands. The zero Token names nothing.
type Token struct {
	event    string
	position Position
}

// Event returns the token of a write that travels as a message; id is the message's UUID.
func Event(id string) Token { return Token{event: id} }

// At returns the token of everything that was written before p.
func At(p Position) Token { return Token{position: p} }

// EventID returns the message that the token names; ok is false for a position.
func (t Token) EventID() (id string, ok bool) { return t.event, t.event != "" }

// Position returns the position that the token names; ok is false for a message.
func (t Token) Position() (p Position, ok bool) { return t.position, t.event == "" && t != Token{} }

// Kinds of tokens, the first byte of their text.
const (
	kindEvent    = 'e'
	kindPosition = 'p'
)

const positionLen = 1 + 8 + 4 + 8

// String returns the token as opaque, URL-safe text; "" for the zero Token.
func (t Token) String() string {
	switch {
	case t == Token{}:
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

// Parse reads what String writes. Everything else is InvalidArgument INVALID_CONSISTENCY_TOKEN.
func Parse(s string) (Token, error) {
	b, err := encoding().DecodeString(s)
	if err != nil || len(b) == 0 || len(s) != encoding().EncodedLen(len(b)) { // the decoder skips line ends
		return Token{}, invalid()
	}
	switch {
	case b[0] == kindEvent && uuidForm.Match(b[1:]):
		return Event(string(b[1:])), nil
	case b[0] == kindPosition && len(b) == positionLen:
		t := At(Position{
			System: binary.BigEndian.Uint64(b[1:]), Timeline: binary.BigEndian.Uint32(b[9:]), LSN: binary.BigEndian.Uint64(b[13:]),
		})
		if t == (Token{}) {
			return Token{}, invalid()
		}
		return t, nil
	}
	return Token{}, invalid()
}

func encoding() *base64.Encoding { return base64.RawURLEncoding.Strict() }

func invalid() error {
	return apierr.New(apierr.InvalidArgument, "INVALID_CONSISTENCY_TOKEN",
		"this is no consistency token: send one that a write answered with, unchanged, or none")
}

type requestKey struct{}

// NewContext returns a context that carries the request's token.
func NewContext(ctx context.Context, token string) context.Context {
	return context.WithValue(ctx, requestKey{}, token)
}

// FromContext returns the request's token, "" if it has none.
func FromContext(ctx context.Context) string {
	token, _ := ctx.Value(requestKey{}).(string)
	return token
}

type answerKey struct{}

type answer struct {
	mu    sync.Mutex
	token string
}

// WithAnswer returns a context in which Answer can say the token of what the request wrote, and a function that returns it.
func WithAnswer(ctx context.Context) (context.Context, func() string) {
	a := &answer{}
	return context.WithValue(ctx, answerKey{}, a), func() string {
		a.mu.Lock()
		defer a.mu.Unlock()
		return a.token
	}
}

// Answer says the token of what the request wrote; the server sends it in the trailer. The last one counts: it names the later write.
// Outside of a request it does nothing.
func Answer(ctx context.Context, token string) {
	if a, ok := ctx.Value(answerKey{}).(*answer); ok {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.token = token
	}
}
