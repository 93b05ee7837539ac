// Package auditlog is what is known of the proven trail without its database: the checkpoints,
// their signatures and cosignatures, the proofs, and the bundle in which they travel. It verifies;
// it stores and serves nothing.
//
// The trail is a Merkle tree of RFC 6962 whose leaf i is the canonical bytes of the event at
// position i+1 (ADR 0043). A checkpoint is a signed note (C2SP tlog-checkpoint, signed-note) that
// golang.org/x/mod/sumdb/note opens, a witness adds a cosignature/v1 to it (C2SP tlog-cosignature).
// Audit, the witness and the operator's command import it; so may whoever writes an auditor's tool.
package auditlog

import (
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// Hash is a SHA-256 of RFC 6962, section 2.1: of a leaf or of an inner node.
type Hash = tlog.Hash

// MaxProof is the most hashes that any proof has: a tree of 2^63 leaves is as high.
const MaxProof = 63

// LeafHash is the hash of the leaf that an event's canonical bytes are: SHA-256(0x00 || canonical).
func LeafHash(canonical []byte) Hash { return tlog.RecordHash(canonical) }

// Hashes reads the hashes of a proof, 32 bytes each.
func Hashes(texts [][]byte) ([]Hash, error) {
	if len(texts) > MaxProof {
		return nil, fmt.Errorf("a proof has at most %d hashes, this one %d", MaxProof, len(texts))
	}
	hashes := make([]Hash, len(texts))
	for i, text := range texts {
		if len(text) != tlog.HashSize {
			return nil, fmt.Errorf("hash %d of a proof has %d bytes: a SHA-256 has %d", i+1, len(text), tlog.HashSize)
		}
		copy(hashes[i][:], text)
	}
	return hashes, nil
}

// errProof hides which step of the library did not fit: to whoever verifies they mean the same.
var errProof = errors.New("the proof does not lead to the root of the checkpoint")

// VerifyInclusion reports whether the tree of that size and root has the leaf at the index, counted
// from 0 (RFC 6962, section 2.1.1).
func VerifyInclusion(index, size int64, root, leaf Hash, proof []Hash) error {
	if index < 0 || index >= size {
		return fmt.Errorf("leaf %d is not in a tree of %d leaves", index, size)
	}
	if len(proof) > MaxProof || tlog.CheckRecord(proof, size, root, index, leaf) != nil {
		return errProof
	}
	return nil
}

// VerifyConsistency reports whether the tree of the second size and root begins with the first one,
// whose size is at least 1 (RFC 6962, section 2.1.2).
func VerifyConsistency(first, second int64, firstRoot, secondRoot Hash, proof []Hash) error {
	if first < 1 || first > second {
		return fmt.Errorf("a proof leads from a tree of at least 1 leaf to one of at least as many, not from %d to %d", first, second)
	}
	if len(proof) > MaxProof || tlog.CheckTree(proof, second, secondRoot, first, firstRoot) != nil {
		return errProof
	}
	return nil
}
