package ledger

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/gatehouse/gatehouse/services/audit/internal/merkle"
)

// Batch is how many events one turn takes into the tree: existing events are brought in by turns of
// this size, each with a checkpoint of its own.
const Batch = 64 * merkle.Width

// Sequencer grows the tree. Every instance has one; the store lets one of them work at a time, and
// what it has committed is where the next one goes on. Nothing is remembered that the store would
// not say, but the edge of the tree, which is read again when somebody else has grown it.
type Sequencer struct {
	store  Store
	keys   Keys
	name   string // of the platform, the first part of origins
	edge   *merkle.Edge
	number int       // of the edge's origin
	signed tlog.Tree // what the edge is
	known  Known     // the newest checkpoint that was ever seen

	size    atomic.Int64
	lag     atomic.Int64
	stopped atomic.Bool
}

// NewSequencer returns the sequencer. name is that of the platform, such as the host of its issuer.
func NewSequencer(store Store, keys Keys, name string) *Sequencer {
	return &Sequencer{store: store, keys: keys, name: name}
}

// Remember says that a checkpoint was signed: the log must have it, or it was rewound. Call it
// before the first Grow.
func (s *Sequencer) Remember(k Known) { s.known = k }

// Stopped is whether the log signed nothing when this instance last looked, because it was rewound
// or is damaged.
func (s *Sequencer) Stopped() bool { return s.stopped.Load() }

// Size is that of the newest checkpoint when this instance last looked.
func (s *Sequencer) Size() int64 { return s.size.Load() }

// Lag is how many events no checkpoint covered when this instance last looked.
func (s *Sequencer) Lag() int64 { return s.lag.Load() }

// Grow takes all events that are stored into the tree, in turns. It does nothing while another
// instance does. Call it from one goroutine.
func (s *Sequencer) Grow(ctx context.Context) error {
	err := s.grow(ctx)
	s.stopped.Store(errors.Is(err, ErrHalted) || errors.Is(err, merkle.ErrDamaged))
	return err
}

func (s *Sequencer) grow(ctx context.Context) error {
	for {
		state, err := s.store.State(ctx)
		if err != nil {
			return err
		}
		s.size.Store(state.Last.Tree.N)
		s.lag.Store(max(state.Head-state.Last.Tree.N, 0)) // the last events may be gone
		if err := s.compare(ctx, state); err != nil {
			return err
		}
		if state.Number > 0 && state.Head == state.Last.Tree.N {
			return nil
		}
		grown := int64(0)
		err = s.store.Grow(ctx, func(t Turn) error {
			grown, err = s.turn(ctx, t)
			return err
		})
		if err != nil {
			s.edge = nil // it may be ahead of what is stored, whatever the error is
		}
		switch {
		case errors.Is(err, ErrBusy):
			return nil
		case err != nil || grown == 0:
			return err
		}
	}
}

// turn grows the tree by one batch and returns by how many leaves.
func (s *Sequencer) turn(ctx context.Context, t Turn) (grown int64, err error) {
	state, err := t.State(ctx)
	if err != nil {
		return 0, err
	}
	if state.Halt != nil {
		return 0, halted(*state.Halt)
	}
	if state.Number == 0 {
		state.Number, state.Origin = 1, fmt.Sprintf("%s/audit/%d", s.name, 1)
		if err := t.Open(ctx, state.Number, state.Origin); err != nil {
			return 0, err
		}
	}
	if err := s.resume(ctx, t, state); err != nil {
		return 0, err
	}
	leaves, err := t.Leaves(ctx, s.edge.Size(), Batch)
	if err != nil {
		return 0, err
	}
	if len(leaves) == 0 {
		if state.Head > s.edge.Size() {
			return 0, fmt.Errorf("%w: the trail ends at position %d and has none at %d", merkle.ErrDamaged, state.Head, s.edge.Size()+1)
		}
		return 0, nil
	}
	var full []merkle.Tile
	for _, leaf := range leaves {
		full = append(full, s.edge.Append(leaf)...)
	}
	tree := tlog.Tree{N: s.edge.Size()}
	if tree.Hash, err = s.edge.Root(); err != nil {
		return 0, err
	}
	signed, err := s.keys.sign(state.Origin, tree)
	if err != nil {
		return 0, err
	}
	if err := t.Add(ctx, state.Number, full, Checkpoint{Tree: tree, Note: signed}); err != nil {
		return 0, err
	}
	s.number, s.signed = state.Number, tree
	return int64(len(leaves)), nil
}

// resume makes the edge that of the last checkpoint. It is the one in memory when nobody else has
// grown the tree; else it is read, and must have the root that was signed: nothing is ever signed
// that does not begin with what was signed before.
func (s *Sequencer) resume(ctx context.Context, t Turn, state State) error {
	if s.edge != nil && s.number == state.Number && s.signed == state.Last.Tree {
		return nil
	}
	size, stored := state.Last.Tree.N, state.Tiles*merkle.Width
	if size == 0 {
		size = stored // a new origin over a tree that there is
	}
	if stored > size { // they are stored together
		return fmt.Errorf("%w: the tiles are those of %d events, and the last checkpoint is of %d", merkle.ErrDamaged, stored, size)
	}
	edge, err := readEdge(ctx, t, size)
	if err != nil {
		return err
	}
	root, err := edge.Root()
	if err != nil {
		return err
	}
	if state.Last.Tree.N > 0 && root != state.Last.Tree.Hash {
		return fmt.Errorf("%w: the tree of %d leaves has the root %s, and %s was signed", merkle.ErrDamaged, size, root, state.Last.Tree.Hash)
	}
	s.edge, s.number, s.signed = edge, state.Number, tlog.Tree{N: size, Hash: root}
	if state.Last.Tree.N == 0 {
		s.signed = tlog.Tree{}
	}
	return nil
}

// tileReader reads as Turn.Tiles does.
type tileReader interface {
	Tiles(ctx context.Context, tiles []tlog.Tile) ([][]byte, error)
}

func readEdge(ctx context.Context, t tileReader, size int64) (*merkle.Edge, error) {
	var tiles []tlog.Tile
	for l := range merkle.Levels(size) {
		width, index := merkle.Missing(size, l)
		tiles = append(tiles, tlog.Tile{H: merkle.Height, L: l, N: index, W: width})
	}
	data, err := t.Tiles(ctx, tiles)
	if err != nil {
		return nil, err
	}
	levels := make([][]tlog.Hash, len(tiles))
	for l := range tiles {
		if levels[l], err = merkle.Hashes(data[l]); err != nil {
			return nil, err
		}
	}
	edge, err := merkle.NewEdge(size, levels)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", merkle.ErrDamaged, err)
	}
	return edge, nil
}
