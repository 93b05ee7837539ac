package auditlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/gatehouse/gatehouse/internal/event"
)

// BundleReader reads a bundle, one event at a time, and nothing but a bundle: an unknown member,
// one that comes twice or out of its place, or a size beyond the limits is an error. It verifies
// nothing.
type BundleReader struct {
	Checkpoint []byte   // a signed note, not yet opened
	Keys       []string // verifier keys that the writer knew

	limit *limited
	json  *json.Decoder
	count int
}

// NewBundleReader reads the head of a bundle. The members format, checkpoint, verifier_keys and
// events come in this order, so that a bundle of any size is read once and never kept.
func NewBundleReader(r io.Reader) (*BundleReader, error) {
	b := &BundleReader{limit: &limited{r: r, left: maxHead}}
	b.json = json.NewDecoder(b.limit)
	var format, checkpoint string
	if err := b.delim('{'); err != nil {
		return nil, errors.New("this is no bundle: it does not begin with an object of JSON")
	}
	for _, member := range []struct {
		name string
		to   any
	}{{"format", &format}, {"checkpoint", &checkpoint}, {"verifier_keys", &b.Keys}} {
		if err := b.name(member.name); err != nil {
			return nil, err
		}
		if err := b.json.Decode(member.to); err != nil {
			return nil, fmt.Errorf("read the bundle: %s: %w", member.name, b.plain(err))
		}
		if format != BundleFormat {
			return nil, fmt.Errorf("this is a bundle of the format %q: only %s is known here", format, BundleFormat)
		}
	}
	if len(b.Keys) > MaxBundleKeys {
		return nil, fmt.Errorf("read the bundle: %d verifier keys are more than %d", len(b.Keys), MaxBundleKeys)
	}
	b.Checkpoint = []byte(checkpoint)
	if err := b.name("events"); err != nil {
		return nil, err
	}
	if err := b.delim('['); err != nil {
		return nil, err
	}
	return b, nil
}

// Next reads an event; io.EOF is the proper end of the bundle.
func (b *BundleReader) Next() (Entry, error) {
	b.limit.left = maxEntry
	if !b.json.More() {
		return Entry{}, b.end()
	}
	b.count++
	var raw json.RawMessage
	if err := b.json.Decode(&raw); err != nil {
		return Entry{}, fmt.Errorf("read event %d of the bundle: %w", b.count, b.plain(err))
	}
	e, err := readEntry(raw)
	if err != nil {
		return Entry{}, fmt.Errorf("read event %d of the bundle: %w", b.count, err)
	}
	return e, nil
}

func readEntry(raw json.RawMessage) (Entry, error) {
	if err := members(raw, []string{"leaf_index", "canonical", "personal", "hashes"}, []string{"field", "salt", "value"}); err != nil {
		return Entry{}, err
	}
	var d entryDocument
	if err := json.Unmarshal(raw, &d); err != nil {
		return Entry{}, err
	}
	proof, err := Hashes(d.Hashes)
	if err != nil {
		return Entry{}, err
	}
	if len(d.Personal) > event.MaxChanges {
		return Entry{}, fmt.Errorf("%d personal values are more than %d", len(d.Personal), event.MaxChanges)
	}
	e := Entry{Index: d.LeafIndex, Canonical: d.Canonical, Proof: proof}
	for _, p := range d.Personal {
		e.Personal = append(e.Personal, event.Personal(p))
	}
	return e, nil
}

// end reads what follows the last event.
func (b *BundleReader) end() error {
	if err := b.delim(']'); err != nil {
		return err
	}
	if err := b.delim('}'); err != nil {
		return err
	}
	if _, err := b.json.Token(); !errors.Is(err, io.EOF) {
		return errors.New("read the bundle: something follows its end")
	}
	return io.EOF
}

func (b *BundleReader) name(want string) error {
	token, err := b.json.Token()
	if err != nil {
		return fmt.Errorf("read the bundle: the member %s is missing: %w", want, b.plain(err))
	}
	if token != want {
		return fmt.Errorf("read the bundle: %v stands where the member %s belongs", token, want)
	}
	return nil
}

func (b *BundleReader) delim(want json.Delim) error {
	token, err := b.json.Token()
	if err != nil {
		return fmt.Errorf("read the bundle: %w", b.plain(err))
	}
	if token != want {
		return fmt.Errorf("read the bundle: %v stands where %v belongs", token, want)
	}
	return nil
}

// plain says of the end of the text what it means here.
func (*BundleReader) plain(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the file ends too early")
	}
	return err
}

// members refuses an object with a name that is not one of those, or comes twice; inner are the
// names of objects within it. The package json takes the last of two, and any case.
func members(raw []byte, outer, inner []string) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	var seen []map[string]bool // of the objects around; nil for an array
	name := false              // a name is next
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch t := token.(type) {
		case json.Delim:
			switch t {
			case '{':
				seen = append(seen, map[string]bool{})
			case '[':
				seen = append(seen, nil)
			default:
				seen = seen[:len(seen)-1]
			}
			name = len(seen) > 0 && seen[len(seen)-1] != nil
			continue
		case string:
			if name {
				known := inner
				if len(seen) == 1 {
					known = outer
				}
				last := seen[len(seen)-1]
				if !slices.Contains(known, t) || last[t] {
					return fmt.Errorf("the member %q is unknown here, or comes twice", t)
				}
				last[t], name = true, false
				continue
			}
		}
		name = len(seen) > 0 && seen[len(seen)-1] != nil
	}
}

// limited reads so many bytes and then refuses, until it is given more.
type limited struct {
	r    io.Reader
	left int
}

var errTooLarge = errors.New("it is larger than anything that a bundle holds")

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errTooLarge
	}
	n, err := l.r.Read(p[:min(len(p), l.left)])
	l.left -= n
	return n, err
}
