package auditlog

import "crypto/sha256"

// Tree grows by leaves and knows its root, without keeping them: at most 63 hashes are kept, those
// of the full subtrees from the left (RFC 6962, section 2.1). The zero Tree is empty.
type Tree struct {
	size int64
	edge []Hash // one for each bit that is set in size, the largest subtree first
}

// Append adds a leaf by its hash.
func (t *Tree) Append(leaf Hash) {
	for size := t.size; size&1 == 1; size >>= 1 {
		last := len(t.edge) - 1
		leaf = node(t.edge[last], leaf)
		t.edge = t.edge[:last]
	}
	t.edge = append(t.edge, leaf)
	t.size++
}

// Size is the number of leaves.
func (t *Tree) Size() int64 { return t.size }

// Root is the hash of the tree; that of the empty one is SHA-256 of nothing.
func (t *Tree) Root() Hash {
	if t.size == 0 {
		return sha256.Sum256(nil)
	}
	root := t.edge[len(t.edge)-1]
	for i := len(t.edge) - 2; i >= 0; i-- {
		root = node(t.edge[i], root)
	}
	return root
}

// node is the hash of an inner node, SHA-256(0x01 || left || right). That of tlog allocates, which
// costs more than the hash.
func node(left, right Hash) Hash {
	b := [1 + 2*sha256.Size]byte{1}
	copy(b[1:], left[:])
	copy(b[1+sha256.Size:], right[:])
	return sha256.Sum256(b[:])
}
