package auditlog

import (
	"errors"
	"fmt"
	"io"

	"github.com/gatehouse/gatehouse/internal/event"
)

// Tampered says that something was changed after it was signed, and where.
type Tampered struct {
	Place string // such as "event 3 of the bundle (leaf 17)"
	Err   error
}

// Error names the place and what is wrong there.
func (t *Tampered) Error() string { return t.Place + ": " + t.Err.Error() }

// Unwrap is what is wrong there.
func (t *Tampered) Unwrap() error { return t.Err }

// BundleReport is what a bundle proves.
type BundleReport struct {
	Checkpoint Signed
	Events     int
	Personal   int // values that are there, each as it was hashed
	Missing    int // values that are not, erased or withheld: their hashes are
}

// VerifyBundle reads a bundle and proves each of its events: that the bytes are an event, that its
// personal values are those that the event holds hashes of, and that the tree of the checkpoint,
// which a trusted key signed, has exactly these bytes at that leaf. What does not fit is a
// *Tampered; any other error means that there is no bundle to verify. Each is called, if not nil,
// with every event that was proven.
func VerifyBundle(r io.Reader, keys Keys, each func(Entry, event.Event)) (BundleReport, error) {
	bundle, err := NewBundleReader(r)
	if err != nil {
		return BundleReport{}, err
	}
	var report BundleReport
	if report.Checkpoint, err = keys.Open(bundle.Checkpoint); err != nil {
		return report, &Tampered{"the checkpoint of the bundle", err}
	}
	last := int64(-1)
	for {
		entry, err := bundle.Next()
		if errors.Is(err, io.EOF) {
			return report, nil
		}
		if err != nil {
			return report, err
		}
		place := fmt.Sprintf("event %d of the bundle (leaf %d)", report.Events+1, entry.Index)
		if entry.Index <= last {
			return report, &Tampered{place, fmt.Errorf("it comes after leaf %d: events stand in the order of their leaves, once each", last)}
		}
		last = entry.Index
		e, err := VerifyEntry(report.Checkpoint.Checkpoint, entry)
		if err != nil {
			return report, &Tampered{place, err}
		}
		report.Events++
		report.Personal += len(entry.Personal)
		report.Missing += hashed(entry.Canonical) - len(entry.Personal)
		if each != nil {
			each(entry, e)
		}
	}
}

// hashed is how many personal values the bytes of an event hold hashes of.
func hashed(canonical []byte) (count int) {
	e, _ := event.Parse(canonical) // it was read before
	for _, c := range e.Changes {
		if c.Personal {
			count++
		}
	}
	return count
}

// VerifyEntry proves one event under a checkpoint whose signature was verified before.
func VerifyEntry(c Checkpoint, entry Entry) (event.Event, error) {
	e, err := event.Sealed{Canonical: entry.Canonical, Personal: entry.Personal}.Open()
	if err != nil {
		return event.Event{}, err
	}
	if err := VerifyInclusion(entry.Index, c.Size, c.Root, LeafHash(entry.Canonical), entry.Proof); err != nil {
		return event.Event{}, fmt.Errorf("event %s: %w: its bytes, its place or its proof were changed", e.ID, err)
	}
	return e, nil
}
