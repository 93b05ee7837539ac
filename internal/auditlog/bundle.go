package auditlog

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"

	"github.com/gatehouse/gatehouse/internal/event"
)

// BundleFormat is what the member "format" of a bundle says.
const BundleFormat = "gatehouse.audit.bundle/1"

// Limits of a bundle. What is larger is refused before it is in memory.
const (
	MaxBundleKeys = 64
	maxEntry      = 4 << 20 // bytes of one event with its proof, as JSON
	maxHead       = 256 << 10
)

// Entry is one event of a bundle: its leaf, what it says, and the proof from it to the checkpoint.
type Entry struct {
	Index     int64 // of the leaf, from 0
	Canonical []byte
	Personal  []event.Personal // those that are not erased, and that the writer may read
	Proof     []Hash
}

// entryDocument is an entry as JSON; bytes are in base64 (RFC 4648, section 4).
type entryDocument struct {
	LeafIndex int64              `json:"leaf_index"`
	Canonical []byte             `json:"canonical"`
	Personal  []personalDocument `json:"personal"`
	Hashes    [][]byte           `json:"hashes"`
}

type personalDocument struct {
	Field string `json:"field"`
	Salt  []byte `json:"salt"`
	Value string `json:"value"`
}

// BundleWriter writes a bundle: the head when it is made, one event after the other, in the order
// of their leaves, and the end when it is closed. It keeps no event.
type BundleWriter struct {
	w    *bufio.Writer
	next int64 // the smallest index that may follow
	some bool
}

// NewBundleWriter begins a bundle of events under a signed checkpoint. The verifier keys are for
// whoever reads the bundle to compare; nobody can trust them because they stand there.
func NewBundleWriter(w io.Writer, checkpoint []byte, keys []string) (*BundleWriter, error) {
	head, err := json.Marshal(struct {
		Format     string   `json:"format"`
		Checkpoint string   `json:"checkpoint"`
		Keys       []string `json:"verifier_keys"`
	}{BundleFormat, string(checkpoint), append([]string{}, keys...)})
	if err != nil {
		return nil, fmt.Errorf("write the bundle: %w", err)
	}
	b := &BundleWriter{w: bufio.NewWriter(w)}
	_, err = fmt.Fprintf(b.w, "%s,\"events\":[", head[:len(head)-1])
	return b, writing(err)
}

// Add writes an event. Its index is larger than that of the event before.
func (b *BundleWriter) Add(e Entry) error {
	if e.Index < b.next {
		return fmt.Errorf("write the bundle: leaf %d comes after leaf %d", e.Index, b.next-1)
	}
	d := entryDocument{LeafIndex: e.Index, Canonical: e.Canonical, Personal: []personalDocument{}, Hashes: [][]byte{}}
	for _, p := range e.Personal {
		d.Personal = append(d.Personal, personalDocument(p))
	}
	for _, h := range e.Proof {
		d.Hashes = append(d.Hashes, h[:])
	}
	text, err := json.Marshal(d)
	if err != nil {
		return writing(err)
	}
	separator := "\n"
	if b.some {
		separator = ",\n"
	}
	b.some, b.next = true, e.Index+1
	_, err = fmt.Fprintf(b.w, "%s%s", separator, text)
	return writing(err)
}

// Close ends the bundle. It does not close what it was written to.
func (b *BundleWriter) Close() error {
	if _, err := b.w.WriteString("\n]}\n"); err != nil {
		return writing(err)
	}
	return writing(b.w.Flush())
}

func writing(err error) error {
	if err != nil {
		return fmt.Errorf("write the bundle: %w", err)
	}
	return nil
}
