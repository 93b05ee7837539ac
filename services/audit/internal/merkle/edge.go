// Package merkle is the tree over the trail: that of RFC 6962, section 2.1, as
// golang.org/x/mod/sumdb/tlog has it, whose leaf i (from 0) is the event at position i+1. It is
// kept in tiles of height 8, of which only full ones are stored; what is right of them, the edge,
// follows from the last events and the roots of the last tiles.
//
//	level 1             root of 0   root of 1   | edge: the roots of tiles without a full tile above
//	level 0   256 leaf hashes | 256 leaf hashes | edge: leaf hashes of the last events
//
// It is pure: who calls says where tiles come from.
package merkle

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// Height of a tile, and how many hashes a full one has.
const (
	Height = 8
	Width  = 1 << Height
)

// Tile is a full tile.
type Tile struct {
	Level  int         // 0 holds leaf hashes, each other one the roots of the tiles below it
	Index  int64       // from 0, within its level
	Root   tlog.Hash   // of the subtree over the hashes
	Hashes []tlog.Hash // Width of them
}

// Edge is the right edge of a tree: of each level the hashes that no full tile has. Its size says
// how many they are.
type Edge struct {
	size   int64
	levels [][]tlog.Hash // at most Width-1 each
}

// Missing returns how many hashes the edge of a tree of that size has at a level, and how many full
// tiles are left of them.
func Missing(size int64, level int) (width int, tiles int64) {
	n := size >> (Height * level)
	return int(n % Width), n / Width
}

// Levels returns how many levels the edge of a tree of that size has.
func Levels(size int64) int {
	n := 0
	for ; size > 0; size >>= Height {
		n++
	}
	return n
}

// NewEdge returns the edge of a tree from the hashes of each level, which are as many as Missing
// says.
func NewEdge(size int64, levels [][]tlog.Hash) (*Edge, error) {
	if len(levels) != Levels(size) {
		return nil, fmt.Errorf("the edge of %d leaves has %d levels, not %d", size, Levels(size), len(levels))
	}
	for l, hashes := range levels {
		if want, _ := Missing(size, l); len(hashes) != want {
			return nil, fmt.Errorf("level %d of the edge of %d leaves has %d hashes, not %d", l, size, want, len(hashes))
		}
	}
	return &Edge{size: size, levels: levels}, nil
}

// Size is the number of leaves of the tree.
func (e *Edge) Size() int64 { return e.size }

// Append adds the hash of the next leaf and returns the tiles that are full by it.
func (e *Edge) Append(leaf tlog.Hash) (full []Tile) {
	e.size++
	for l, h := 0, leaf; ; l++ {
		if l == len(e.levels) {
			e.levels = append(e.levels, nil)
		}
		e.levels[l] = append(e.levels[l], h)
		if len(e.levels[l]) < Width {
			return full
		}
		hashes := e.levels[l]
		e.levels[l] = make([]tlog.Hash, 0, Width)
		h = Root(hashes)
		full = append(full, Tile{Level: l, Index: e.size>>(Height*(l+1)) - 1, Root: h, Hashes: hashes})
	}
}

// Root returns the root hash of the tree.
func (e *Edge) Root() (tlog.Hash, error) { return tlog.TreeHash(e.size, tlog.HashReaderFunc(e.read)) }

func (e *Edge) read(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		t := tlog.TileForIndex(Height, index)
		if t.L >= len(e.levels) || t.N != e.size>>(Height*(t.L+1)) || t.W > len(e.levels[t.L]) {
			return nil, fmt.Errorf("hash %d is not of the edge of %d leaves", index, e.size)
		}
		h, err := tlog.HashFromTile(t, Data(e.levels[t.L][:t.W]), index)
		if err != nil {
			return nil, err
		}
		hashes[i] = h
	}
	return hashes, nil
}

// Root returns the root hash of the subtree over the hashes, whose number is a power of two.
func Root(hashes []tlog.Hash) tlog.Hash {
	if len(hashes) == 1 {
		return hashes[0]
	}
	half := len(hashes) / 2
	return tlog.NodeHash(Root(hashes[:half]), Root(hashes[half:]))
}

// Data returns the hashes as the bytes of a tile.
func Data(hashes []tlog.Hash) []byte {
	data := make([]byte, 0, len(hashes)*tlog.HashSize)
	for _, h := range hashes {
		data = append(data, h[:]...)
	}
	return data
}

// Hashes returns the hashes of a tile's bytes.
func Hashes(data []byte) ([]tlog.Hash, error) {
	if len(data)%tlog.HashSize != 0 {
		return nil, fmt.Errorf("%d bytes are no hashes of %d bytes", len(data), tlog.HashSize)
	}
	hashes := make([]tlog.Hash, len(data)/tlog.HashSize)
	for i := range hashes {
		copy(hashes[i][:], data[i*tlog.HashSize:])
	}
	return hashes, nil
}
