package event

import (
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/gowebpki/jcs"
)

// Sealed is an event as it is kept for ever, with its personal values beside it.
type Sealed struct {
	Canonical []byte
	Personal  []Personal
}

// Personal is a value that can be erased.
type Personal struct {
	Field string
	Salt  []byte // SaltLen random bytes
	Value string // JSON
}

// SaltLen is the length of the salt of a personal value.
const SaltLen = 16

// Seal returns the durable form of the event. Texts lose what no text may hold, values that are too
// large are replaced by their size, whole numbers that would lose digits by texts; random gives the
// salts. An error means that the event says too little, or that a value is not JSON.
func (e Event) Seal(random io.Reader) (Sealed, error) {
	e = e.Clean()
	e.Changes = append(e.Changes, e.client()...)
	e.Actor.SessionID = "" // it is beside the bytes now, and not told to all to whom they are proven (R93)
	var s Sealed
	for i := range e.Changes {
		c := &e.Changes[i]
		value, err := jcs.Transform(exact(c.Value))
		if err != nil || !utf8.Valid(value) {
			return Sealed{}, fmt.Errorf("seal event %s: the value of %s is not JSON", e.Action, c.Field)
		}
		c.Value, c.Hash = value, ""
		if !c.Personal {
			continue
		}
		if len(value) > MaxPersonal {
			value = omitted(len(value))
		}
		p := Personal{Field: c.Field, Salt: make([]byte, SaltLen), Value: string(value)}
		if _, err := io.ReadFull(random, p.Salt); err != nil {
			return Sealed{}, fmt.Errorf("seal event %s: make a salt: %w", e.Action, err)
		}
		c.Value, c.Hash = nil, p.hash()
		s.Personal = append(s.Personal, p)
	}
	if err := e.check(); err != nil {
		return Sealed{}, fmt.Errorf("seal event %s: %w", e.Action, err)
	}
	var err error
	if s.Canonical, err = e.fitting(); err != nil {
		return Sealed{}, fmt.Errorf("seal event %s: %w", e.Action, err)
	}
	return s, nil
}

// Clean returns the event with texts that may stand in a store or on a terminal, and the time as precise as it is kept.
func (e Event) Clean() Event {
	for _, t := range e.texts() {
		*t.value = plain(*t.value, t.most)
	}
	e.Time = e.Time.UTC().Truncate(time.Microsecond)
	e.Count = max(e.Count, 1)
	e.Changes = slices.Clone(e.Changes)
	return e
}

// fitting returns the canonical bytes; as long as they are too many, the largest value is replaced by its size.
func (e Event) fitting() ([]byte, error) {
	for range len(e.Changes) + 1 {
		canonical, err := e.canonical()
		if err != nil || len(canonical) <= MaxCanonical {
			return canonical, err
		}
		largest := slices.MaxFunc(e.Changes, func(a, b Change) int { return cmp.Compare(len(a.Value), len(b.Value)) })
		for i, c := range e.Changes {
			if c.Field == largest.Field {
				e.Changes[i].Value = omitted(len(c.Value))
			}
		}
	}
	return nil, errors.New("the event is too large")
}

func omitted(bytes int) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{"omitted_bytes":%d}`, bytes))
}

// Verify reports whether the canonical bytes can be read and the personal values are exactly those that they hold hashes of.
func Verify(s Sealed) error {
	_, err := s.OpenWhole()
	return err
}

// OpenWhole is Open of an event whose personal values are all there.
func (s Sealed) OpenWhole() (Event, error) {
	e, err := s.open()
	if err != nil {
		return Event{}, err
	}
	for _, c := range e.Changes {
		if c.Personal && c.Value == nil {
			return Event{}, fmt.Errorf("open event %s: the personal value of %s is missing", e.ID, c.Field)
		}
	}
	return e.withClient(), nil
}

// Open returns the event with those personal values that are there; the value of one that was erased is nil. A value that the event
// holds no hash of, or another one, is an error.
func (s Sealed) Open() (Event, error) {
	e, err := s.open()
	if err != nil {
		return Event{}, err
	}
	return e.withClient(), nil
}

func (s Sealed) open() (Event, error) {
	e, err := Parse(s.Canonical)
	if err != nil {
		return Event{}, err
	}
	for _, p := range s.Personal {
		i := slices.IndexFunc(e.Changes, func(c Change) bool { return c.Field == p.Field })
		if i < 0 || !e.Changes[i].Personal || e.Changes[i].Value != nil {
			return Event{}, fmt.Errorf("open event %s: %q is none of its personal fields, or comes twice", e.ID, plain(p.Field, maxName))
		}
		if len(p.Value) > MaxPersonal || len(p.Salt) != SaltLen || !json.Valid([]byte(p.Value)) || !utf8.ValidString(p.Value) ||
			subtle.ConstantTimeCompare([]byte(p.hash()), []byte(e.Changes[i].Hash)) != 1 {
			return Event{}, fmt.Errorf("open event %s: the personal value of %s is not the one that was hashed", e.ID, p.Field)
		}
		e.Changes[i].Value = json.RawMessage(p.Value)
	}
	return e, nil
}

// hash is base64url(SHA-256(salt || value)).
func (p Personal) hash() string {
	h := sha256.New()
	h.Write(p.Salt)
	h.Write([]byte(p.Value))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}
