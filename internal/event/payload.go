package event

import (
	"encoding/binary"
	"errors"
	"math"
)

// payloadForm is the first byte of what MarshalSealed writes.
const payloadForm = 1

// MarshalSealed returns s as one run of bytes for a store or an outbox: a byte for the form, then each part behind its length.
func MarshalSealed(s Sealed) []byte {
	b := append(make([]byte, 0, len(s.Canonical)+64), payloadForm)
	b = appendPart(b, s.Canonical)
	b = binary.AppendUvarint(b, uint64(len(s.Personal)))
	for _, p := range s.Personal {
		b = appendPart(b, []byte(p.Field))
		b = appendPart(b, p.Salt)
		b = appendPart(b, []byte(p.Value))
	}
	return b
}

func appendPart(b, part []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(part))), part...)
}

var errPayload = errors.New("read sealed event: the bytes are none")

// UnmarshalSealed reads what MarshalSealed writes. It does not look into the event: Parse and Verify do.
func UnmarshalSealed(b []byte) (Sealed, error) {
	if len(b) == 0 || b[0] != payloadForm {
		return Sealed{}, errPayload
	}
	r := reader{rest: b[1:]}
	s := Sealed{Canonical: r.part()}
	for n := r.number(); n > 0 && !r.bad; n-- {
		s.Personal = append(s.Personal, Personal{Field: string(r.part()), Salt: r.part(), Value: string(r.part())})
	}
	if r.bad || len(r.rest) > 0 {
		return Sealed{}, errPayload
	}
	return s, nil
}

// reader takes parts off the front; after the first one that is not there it is bad.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) number() uint64 {
	n, used := binary.Uvarint(r.rest)
	if used <= 0 || n > math.MaxInt32 {
		r.bad = true
		return 0
	}
	r.rest = r.rest[used:]
	return n
}

func (r *reader) part() []byte {
	n := r.number()
	if r.bad || n > uint64(len(r.rest)) {
		r.bad = true
		return nil
	}
	part := r.rest[:n:n]
	r.rest = r.rest[n:]
	return part
}
