// Package auditlogtest is a log in memory for tests: a tree that golang.org/x/mod/sumdb/tlog keeps,
// the other implementation beside ours, with keys to sign its checkpoints.
package auditlogtest

import (
	"crypto/rand"
	"fmt"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/gatehouse/gatehouse/internal/auditlog"
)

// Key is a signing key with the verifier key that belongs to it.
type Key struct {
	note.Signer
	Text string
}

// LogKey makes the key of a log.
func LogKey(t testing.TB, origin string) Key {
	t.Helper()
	signer, text, err := auditlog.LogKey(Secret(t, origin))
	if err != nil {
		t.Fatal(err)
	}
	return Key{signer, text}
}

// WitnessKey makes the key of a witness.
func WitnessKey(t testing.TB, name string) Key {
	t.Helper()
	signer, text, err := auditlog.WitnessKey(Secret(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return Key{signer, text}
}

// Secret makes a signing key as it stands in a file.
func Secret(t testing.TB, name string) string {
	t.Helper()
	secret, err := auditlog.NewKey(rand.Reader, name)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// Keys are trusted verifier keys.
func Keys(t testing.TB, logs, witnesses []string) auditlog.Keys {
	t.Helper()
	k, err := auditlog.ParseKeys(logs, witnesses)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Log is a log in memory.
type Log struct {
	Leaves [][]byte
	hashes []tlog.Hash // as tlog stores them
}

// Add appends a leaf.
func (l *Log) Add(t testing.TB, leaf []byte) {
	t.Helper()
	more, err := tlog.StoredHashes(l.Size(), leaf, l.reader())
	if err != nil {
		t.Fatal(err)
	}
	l.Leaves, l.hashes = append(l.Leaves, leaf), append(l.hashes, more...)
}

// Size is the number of leaves.
func (l *Log) Size() int64 { return int64(len(l.Leaves)) }

func (l *Log) reader() tlog.HashReaderFunc {
	return func(indexes []int64) ([]tlog.Hash, error) {
		var found []tlog.Hash
		for _, i := range indexes {
			if i >= int64(len(l.hashes)) {
				return nil, fmt.Errorf("no hash %d", i)
			}
			found = append(found, l.hashes[i])
		}
		return found, nil
	}
}

// Root is the root of the tree of the first leaves, so many.
func (l *Log) Root(t testing.TB, size int64) auditlog.Hash {
	t.Helper()
	root, err := tlog.TreeHash(size, l.reader())
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// Inclusion is the proof of a leaf in the tree of that size.
func (l *Log) Inclusion(t testing.TB, index, size int64) []auditlog.Hash {
	t.Helper()
	proof, err := tlog.ProveRecord(size, index, l.reader())
	if err != nil {
		t.Fatal(err)
	}
	return proof
}

// Consistency is the proof that the tree of the second size begins with that of the first.
func (l *Log) Consistency(t testing.TB, first, second int64) []auditlog.Hash {
	t.Helper()
	proof, err := tlog.ProveTree(second, first, l.reader())
	if err != nil {
		t.Fatal(err)
	}
	return proof
}

// Checkpoint is the signed checkpoint of the tree of that size.
func (l *Log) Checkpoint(t testing.TB, size int64, keys ...Key) []byte {
	t.Helper()
	c := auditlog.Checkpoint{Origin: keys[0].Name(), Size: size, Root: l.Root(t, size)}
	signers := make([]note.Signer, 0, len(keys))
	for _, k := range keys {
		signers = append(signers, k.Signer)
	}
	text, err := c.Sign(signers...)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
