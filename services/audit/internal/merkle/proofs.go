package merkle

import (
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// ErrDamaged says that stored tiles are not those of the tree.
var ErrDamaged = errors.New("the stored tree is not the one of its root")

// Load returns the bytes of tiles, W hashes of 32 bytes each, as a prefix of the stored tile or, of
// one at the edge, from what is below it. A tile that is not there has none.
type Load func(tiles []tlog.Tile) ([][]byte, error)

// Proofs proves what a tree holds. Every tile that it reads is checked against the root, so a proof
// is right or there is none.
type Proofs struct {
	tree tlog.Tree
	load Load
}

// NewProofs returns the proofs of a tree.
func NewProofs(tree tlog.Tree, load Load) Proofs { return Proofs{tree: tree, load: load} }

// Leaf returns the proof that the leaf is in the tree of the first size leaves (RFC 6962, section
// 2.1.1), and its hash; index < size <= the tree's size. Errors: ErrDamaged, and those of the load.
func (p Proofs) Leaf(size, index int64) (proof tlog.RecordProof, leaf tlog.Hash, err error) {
	err = p.read(func(r tlog.HashReader) error {
		if proof, err = tlog.ProveRecord(size, index, r); err != nil {
			return err
		}
		hashes, err := r.ReadHashes([]int64{tlog.StoredHashIndex(0, index)})
		if err == nil {
			leaf = hashes[0]
		}
		return err
	})
	return proof, leaf, err
}

// Tree returns the proof that the tree of the first size leaves is the beginning of that of the
// second (RFC 6962, section 2.1.2); 0 <= first <= second <= the tree's size. Errors as those of
// Leaf.
func (p Proofs) Tree(first, second int64) (proof tlog.TreeProof, err error) {
	if first == 0 {
		return nil, nil // every tree begins with the empty one
	}
	err = p.read(func(r tlog.HashReader) error {
		proof, err = tlog.ProveTree(second, first, r)
		return err
	})
	return proof, err
}

// Root returns the root hash of the tree of the first size leaves. Errors as those of Leaf.
func (p Proofs) Root(size int64) (root tlog.Hash, err error) {
	err = p.read(func(r tlog.HashReader) error {
		root, err = tlog.TreeHash(size, r)
		return err
	})
	return root, err
}

// read tells what could not be loaded from what is not the tree's.
func (p Proofs) read(prove func(tlog.HashReader) error) error {
	t := &tiles{load: p.load}
	err := prove(tlog.TileHashReader(p.tree, t))
	switch {
	case t.err != nil:
		return t.err
	case err != nil:
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return nil
}

// tiles implements tlog.TileReader over Load.
type tiles struct {
	load Load
	err  error // of the load
}

func (*tiles) Height() int { return Height }

func (t *tiles) ReadTiles(asked []tlog.Tile) ([][]byte, error) {
	data, err := t.load(asked)
	if err != nil {
		t.err = err
		return nil, err
	}
	for i, tile := range asked {
		if want := tile.W * tlog.HashSize; len(data[i]) != want {
			return nil, fmt.Errorf("tile %s has %d bytes, not %d", tile.Path(), len(data[i]), want)
		}
	}
	return data, nil
}

func (*tiles) SaveTiles([]tlog.Tile, [][]byte) {}
