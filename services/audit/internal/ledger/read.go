package ledger

import (
	"context"

	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1/reason"
	"github.com/gatehouse/gatehouse/services/audit/internal/merkle"
)

// Read tells first the checkpoints that were signed where no tile is full, smallest first, then the
// leaves from start on of the tree of that size, 0 for that of the newest checkpoint. It holds
// nothing of the store while it tells. Errors: CHECKPOINT_NOT_YET, SIZE_NOT_YET, SIZES_REVERSED,
// those of the functions.
func (s *Service) Read(ctx context.Context, start, size int64, edge func(checkpoints []string) error, tell func([]Leaf) error) error {
	state, err := s.newest(ctx)
	if err != nil {
		return err
	}
	if size == 0 {
		size = state.Last.Tree.N
	}
	switch {
	case size > state.Last.Tree.N:
		return reason.SizeNotYet()
	case start > size:
		return reason.SizesReversed()
	}
	_, full := merkle.Missing(size, 0)
	checkpoints, err := s.store.Signed(ctx, state.Number, full*merkle.Width, size, merkle.Width)
	if err != nil {
		return err
	}
	if err := edge(checkpoints); err != nil {
		return err
	}
	for start < size {
		leaves, next, err := s.store.Leaves(ctx, start, size)
		if err != nil {
			return err
		}
		if err := tell(leaves); err != nil {
			return err
		}
		start = next
	}
	return nil
}
