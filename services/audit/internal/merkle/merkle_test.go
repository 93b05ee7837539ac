package merkle_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/gatehouse/gatehouse/services/audit/internal/merkle"
)

// tree is a tree that is kept as the store keeps it, beside tlog's own storage.
type tree struct {
	edge   *merkle.Edge
	leaves []tlog.Hash
	tiles  map[string]merkle.Tile
	stored []tlog.Hash // by tlog's own rules
}

func newTree(t testing.TB) *tree {
	t.Helper()
	edge, err := merkle.NewEdge(0, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &tree{edge: edge, tiles: map[string]merkle.Tile{}}
}

func key(level int, index int64) string { return fmt.Sprint(level, "/", index) }

func (x *tree) add(t testing.TB, data []byte) {
	t.Helper()
	leaf := tlog.RecordHash(data)
	more, err := tlog.StoredHashesForRecordHash(int64(len(x.leaves)), leaf, tlog.HashReaderFunc(x.own))
	if err != nil {
		t.Fatal(err)
	}
	x.stored = append(x.stored, more...)
	x.leaves = append(x.leaves, leaf)
	for _, tile := range x.edge.Append(leaf) {
		x.tiles[key(tile.Level, tile.Index)] = tile
	}
}

// own reads tlog's own storage.
func (x *tree) own(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		hashes[i] = x.stored[index]
	}
	return hashes, nil
}

func (x *tree) size() int64 { return int64(len(x.leaves)) }

func (x *tree) root(t testing.TB, size int64) tlog.Hash {
	t.Helper()
	h, err := tlog.TreeHash(size, tlog.HashReaderFunc(x.own))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// load reads full tiles, and makes those of the edge of what is below them.
func (x *tree) load(tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(tiles))
	for i, tile := range tiles {
		if full, ok := x.tiles[key(tile.L, tile.N)]; ok {
			data[i] = merkle.Data(full.Hashes[:tile.W])
			continue
		}
		for n := tile.N * merkle.Width; n < tile.N*merkle.Width+int64(tile.W); n++ {
			if tile.L == 0 {
				data[i] = append(data[i], x.leaves[n][:]...)
				continue
			}
			below := x.tiles[key(tile.L-1, n)]
			data[i] = append(data[i], below.Root[:]...)
		}
	}
	return data, nil
}

func (x *tree) proofs(t testing.TB) merkle.Proofs {
	t.Helper()
	return merkle.NewProofs(tlog.Tree{N: x.size(), Hash: x.root(t, x.size())}, x.load)
}

// What RFC 6962's authors publish with their implementation: eight leaves, and the root after each.
func TestRootsAreThoseOfTheRFC(t *testing.T) {
	t.Parallel()
	x := newTree(t)
	for i, v := range []struct{ leaf, root string }{
		{"", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
		{"00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"},
		{"10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"},
		{"2021", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"},
		{"3031", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"},
		{"40414243", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"},
		{"5051525354555657", "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"},
		{"606162636465666768696a6b6c6d6e6f", "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"},
	} {
		data, err := hex.DecodeString(v.leaf)
		if err != nil {
			t.Fatal(err)
		}
		x.add(t, data)
		if got, err := x.edge.Root(); err != nil || hex.EncodeToString(got[:]) != v.root {
			t.Errorf("root of %d leaves: %x, %v", i+1, got, err)
		}
	}
	empty, err := newTree(t).edge.Root()
	if err != nil || hex.EncodeToString(empty[:]) != "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" {
		t.Errorf("root of no leaves: %x, %v", empty, err)
	}
}

// The edge has the root that tlog computes from everything, at sizes around the edges of tiles; and
// an edge that is made anew of what is stored goes on as the one that grew.
func TestEdgeGrowsLikeTlog(t *testing.T) {
	t.Parallel()
	x := newTree(t)
	for i := range 70_000 {
		x.add(t, fmt.Append(nil, i))
		if n := x.size(); n%merkle.Width < 3 || n > 65_530 && n < 65_540 || n%1009 == 0 {
			x.check(t)
		}
	}
	x.check(t)
	if len(x.tiles) != 70_000/merkle.Width+1 {
		t.Errorf("%d tiles", len(x.tiles))
	}
	for _, tile := range x.tiles {
		if tile.Root != merkle.Root(tile.Hashes) || len(tile.Hashes) != merkle.Width {
			t.Errorf("tile %d/%d has %d hashes", tile.Level, tile.Index, len(tile.Hashes))
		}
	}
}

func (x *tree) check(t *testing.T) {
	t.Helper()
	n := x.size()
	if got, err := x.edge.Root(); err != nil || got != x.root(t, n) {
		t.Fatalf("root of %d leaves: %v, %v", n, got, err)
	}
	levels := make([][]tlog.Hash, merkle.Levels(n))
	for l := range levels {
		width, tiles := merkle.Missing(n, l)
		data, err := x.load([]tlog.Tile{{H: merkle.Height, L: l, N: tiles, W: width}})
		if err != nil {
			t.Fatal(err)
		}
		if levels[l], err = merkle.Hashes(data[0]); err != nil {
			t.Fatal(err)
		}
	}
	anew, err := merkle.NewEdge(n, levels)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := anew.Root(); err != nil || got != x.root(t, n) {
		t.Fatalf("root of %d leaves, made anew: %v, %v", n, got, err)
	}
}

// Proofs of any two sizes and any leaf hold by tlog's own checks.
func TestProofsHold(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	x := newTree(t)
	for _, size := range []int64{1, 2, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 70_001} {
		for x.size() < size {
			x.add(t, fmt.Append(nil, x.size()))
		}
		p := x.proofs(t)
		for range 40 {
			second := 1 + random.Int64N(size)
			first, index := 1+random.Int64N(second), random.Int64N(second)
			proof, leaf, err := p.Leaf(second, index)
			if err != nil {
				t.Fatalf("leaf %d of %d: %v", index, second, err)
			}
			if err := tlog.CheckRecord(proof, second, x.root(t, second), index, tlog.RecordHash(fmt.Append(nil, index))); err != nil || leaf != x.leaves[index] {
				t.Errorf("leaf %d of %d: %v", index, second, err)
			}
			consistency, err := p.Tree(first, second)
			if err != nil {
				t.Fatalf("%d to %d: %v", first, second, err)
			}
			if err := tlog.CheckTree(consistency, second, x.root(t, second), first, x.root(t, first)); err != nil {
				t.Errorf("%d to %d: %v", first, second, err)
			}
			if got, err := p.Root(first); err != nil || got != x.root(t, first) {
				t.Errorf("root of %d: %v, %v", first, got, err)
			}
		}
	}
	if proof, err := x.proofs(t).Tree(0, x.size()); err != nil || len(proof) != 0 {
		t.Errorf("from nothing: %v, %v", proof, err)
	}
}

// What is stored otherwise than it was signed is not proven, and said to be damaged; what cannot be
// read is not.
func TestDamageIsFound(t *testing.T) {
	t.Parallel()
	x := newTree(t)
	for i := range 70_000 {
		x.add(t, fmt.Append(nil, i))
	}
	proofs := x.proofs(t)
	for _, at := range []string{key(0, 3), key(1, 0)} {
		tile := x.tiles[at]
		hashes := append([]tlog.Hash(nil), tile.Hashes...)
		hashes[3][0] ^= 1
		damaged := tile
		damaged.Hashes = hashes
		x.tiles[at] = damaged
		if _, _, err := proofs.Leaf(x.size(), 3*merkle.Width+3); !errors.Is(err, merkle.ErrDamaged) {
			t.Errorf("tile %s: %v", at, err)
		}
		x.tiles[at] = tile
	}
	if _, _, err := proofs.Leaf(x.size(), 3*merkle.Width+3); err != nil {
		t.Errorf("mended: %v", err)
	}
	lost := x.tiles[key(0, 3)]
	delete(x.tiles, key(0, 3))
	if _, _, err := proofs.Leaf(x.size(), 3*merkle.Width+3); err != nil {
		t.Errorf("a tile that can be made of its leaves: %v", err)
	}
	x.tiles[key(0, 3)] = lost
	down := errors.New("the database is gone")
	gone := merkle.NewProofs(tlog.Tree{N: x.size(), Hash: x.root(t, x.size())}, func([]tlog.Tile) ([][]byte, error) { return nil, down })
	if _, err := gone.Tree(5, x.size()); !errors.Is(err, down) || errors.Is(err, merkle.ErrDamaged) {
		t.Errorf("got %v", err)
	}
	none := merkle.NewProofs(tlog.Tree{N: x.size(), Hash: x.root(t, x.size())}, func(tiles []tlog.Tile) ([][]byte, error) { return make([][]byte, len(tiles)), nil })
	if _, err := none.Tree(5, x.size()); !errors.Is(err, merkle.ErrDamaged) {
		t.Errorf("got %v", err)
	}
}

func TestEdgesOfTheWrongShapeAreRefused(t *testing.T) {
	t.Parallel()
	for name, levels := range map[string][][]tlog.Hash{
		"no levels": nil, "too few": {make([]tlog.Hash, 1)}, "too many": {make([]tlog.Hash, 2), make([]tlog.Hash, 1), nil},
		"too wide": {make([]tlog.Hash, 3), make([]tlog.Hash, 1)},
	} {
		if _, err := merkle.NewEdge(258, levels); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := merkle.Hashes(make([]byte, 33)); err == nil {
		t.Error("33 bytes are taken for hashes")
	}
}
