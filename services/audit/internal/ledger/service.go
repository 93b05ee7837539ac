package ledger

import (
	"context"
	"errors"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1/reason"
	"github.com/gatehouse/gatehouse/services/audit/internal/merkle"
)

// Service proves what the log holds.
type Service struct {
	store Store
	keys  Keys
}

// NewService returns the service over the store. The keys say which verifier keys it has.
func NewService(store Store, keys Keys) *Service { return &Service{store: store, keys: keys} }

// Checkpoint returns the newest signed checkpoint, with what witnesses have said to it so far, and
// the verifier keys of its origin. Errors: CHECKPOINT_NOT_YET.
func (s *Service) Checkpoint(ctx context.Context) (note string, verifiers []string, err error) {
	state, err := s.newest(ctx)
	if err != nil {
		return "", nil, err
	}
	verifiers, err = s.keys.Verifiers(state.Origin)
	note = state.Last.Note
	for _, c := range state.Cosignatures {
		note += c.Line + "\n"
	}
	return note, verifiers, err
}

func (s *Service) newest(ctx context.Context) (State, error) {
	state, err := s.store.State(ctx)
	if err == nil && state.Last.Tree.N == 0 {
		err = reason.CheckpointNotYet()
	}
	return state, err
}

// EventProof is an event and the proof that a tree has it.
type EventProof struct {
	Event
	Size  int64       // of the tree
	Proof []tlog.Hash // from the leaf to the root (RFC 6962, section 2.1.1)
	Note  string      // the checkpoint of exactly that size; empty when none is kept
}

// Event returns the proof that an event is in the tree of that size, 0 for that of the newest
// checkpoint. With an organization only its events are found. Errors: EVENT_NOT_FOUND,
// CHECKPOINT_NOT_YET, SIZE_NOT_YET, EVENT_NOT_COVERED, LOG_DAMAGED.
func (s *Service) Event(ctx context.Context, id string, size int64, organizationID string) (EventProof, error) {
	e, found, err := s.store.Event(ctx, id)
	if err != nil {
		return EventProof{}, err
	}
	if !found || organizationID != "" && e.OrganizationID != organizationID {
		return EventProof{}, reason.EventNotFound()
	}
	state, err := s.newest(ctx)
	if err != nil {
		return EventProof{}, err
	}
	p := EventProof{Event: e, Size: size}
	switch {
	case size == 0 || size == state.Last.Tree.N:
		p.Size, p.Note = state.Last.Tree.N, state.Last.Note
	case size > state.Last.Tree.N:
		return EventProof{}, reason.SizeNotYet()
	default:
		if p.Note, err = s.store.SignedAt(ctx, state.Number, size); err != nil {
			return EventProof{}, err
		}
	}
	if e.Position > p.Size {
		return EventProof{}, reason.EventNotCovered()
	}
	proof, leaf, err := s.proofs(ctx, state).Leaf(p.Size, e.Position-1)
	if err == nil && leaf != tlog.RecordHash(e.Canonical) {
		err = merkle.ErrDamaged
	}
	p.Proof = proof
	return p, damaged(err)
}

// Consistency returns the proof that the tree of the first size is the beginning of that of the
// second, 0 for that of the newest checkpoint; and the second size. Errors: CHECKPOINT_NOT_YET,
// SIZE_NOT_YET, SIZES_REVERSED, LOG_DAMAGED.
func (s *Service) Consistency(ctx context.Context, first, second int64) (proof []tlog.Hash, size int64, err error) {
	if second > 0 && first > second {
		return nil, 0, reason.SizesReversed()
	}
	state, err := s.newest(ctx)
	if err != nil {
		return nil, 0, err
	}
	if second == 0 {
		second = state.Last.Tree.N
	}
	if first > state.Last.Tree.N || second > state.Last.Tree.N {
		return nil, 0, reason.SizeNotYet()
	}
	proof, err = s.proofs(ctx, state).Tree(first, second)
	return proof, second, damaged(err)
}

func (s *Service) proofs(ctx context.Context, state State) merkle.Proofs {
	return proofsOf(ctx, s.store, state)
}

func proofsOf(ctx context.Context, store Store, state State) merkle.Proofs {
	return merkle.NewProofs(state.Last.Tree, func(tiles []tlog.Tile) ([][]byte, error) { return store.Tiles(ctx, tiles) })
}

// damaged names what a client can be told of damage; where it is is the operator's to find.
func damaged(err error) error {
	if errors.Is(err, merkle.ErrDamaged) {
		return reason.LogDamaged().Because(err)
	}
	return err
}
