package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/gatehouse/gatehouse/internal/auditlog"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1/reason"
	"github.com/gatehouse/gatehouse/services/audit/internal/merkle"
)

// Reopen begins the next origin, which signs over the same positions from its first checkpoint on.
// What is gone at the end of the trail is named, and the origin goes on over it. e is the event of
// the request. Errors: CHECKPOINT_NOT_YET when nothing was ever signed, LOG_BUSY, LOG_DAMAGED when
// the tiles are not those of the events, so that no log can go on from them.
func (s *Service) Reopen(ctx context.Context, why string, e event.Event) (next Reopened, err error) {
	err = s.store.Reopen(ctx, func(ctx context.Context, ends Ends) (Reopened, event.Event, error) {
		state, err := ends.State(ctx)
		if err != nil {
			return next, e, err
		}
		next = Reopened{Number: state.Number + 1, Reason: why, Note: state.Last.Note}
		if state.Halt != nil && state.Halt.Note != "" {
			next.Note = state.Halt.Note
		}
		if state.Number == 0 || next.Note == "" {
			return next, e, reason.CheckpointNotYet()
		}
		prefix, _ := auditlog.OriginNumber(state.Origin)
		next.Origin = fmt.Sprintf("%s%d", prefix, next.Number)
		if err := checkEnd(ctx, ends, state); err != nil {
			return next, e, damaged(err)
		}
		if next.Lost, err = lost(ctx, ends, state); err != nil {
			return next, e, err
		}
		e.ObjectID = next.Origin
		e.Changes, err = reopening(e.Changes, next)
		return next, e, err
	})
	if errors.Is(err, ErrBusy) {
		err = reason.LogBusy()
	}
	return next, err
}

// reopening adds what the event tells of the origin.
func reopening(changes []event.Change, r Reopened) ([]event.Change, error) {
	text, err := json.Marshal(r.Note)
	if err != nil {
		return nil, err
	}
	lost, err := auditlog.LossChanges(r.Lost)
	return append(append(changes, event.Change{Field: "checkpoint", Value: text}), lost...), err
}

// checkEnd finds tiles that no log can go on from: those of events that the database has no more,
// and has others instead. That a superuser cut the events and not the tiles is one way to it.
func checkEnd(ctx context.Context, ends Ends, state State) error {
	size := state.Tiles * merkle.Width
	if head := max(state.Head, state.Last.Tree.N); size > head {
		return fmt.Errorf("%w: the tiles are those of %d events, and the trail has %d", merkle.ErrDamaged, size, head)
	}
	if size == 0 {
		return nil
	}
	if _, err := readEdge(ctx, ends, size); err != nil {
		return err
	}
	data, err := ends.Tiles(ctx, []tlog.Tile{{H: merkle.Height, N: state.Tiles - 1, W: merkle.Width}})
	if err != nil {
		return err
	}
	hashes, err := merkle.Hashes(data[0])
	if err != nil || len(hashes) != merkle.Width {
		return fmt.Errorf("%w: tile %d of level 0 is missing", merkle.ErrDamaged, state.Tiles-1)
	}
	events, err := ends.Events(ctx, size-merkle.Width, size)
	if err != nil {
		return err
	}
	for _, e := range events {
		if hashes[e.Index%merkle.Width] != e.Hash {
			return fmt.Errorf("%w: the event at position %d is not the one of tile %d of level 0", merkle.ErrDamaged, e.Index+1, state.Tiles-1)
		}
	}
	return nil
}

// lost returns what is gone at the end of the trail: all that is missing behind the full tiles,
// which keeps a log from going on, and in the tiles before, back to the last one that lacks
// nothing.
func lost(ctx context.Context, ends Ends, state State) ([]auditlog.Span, error) {
	var missing []int64 // leaves
	size, head := state.Tiles*merkle.Width, max(state.Head, state.Last.Tree.N)
	for to := size; to > 0; to -= passTiles * merkle.Width {
		from := max(to-passTiles*merkle.Width, 0)
		some, err := ends.Missing(ctx, from, to, true)
		if err != nil {
			return nil, err
		}
		whole := wholeUpTo(some, from, to)
		missing = append(slices.DeleteFunc(some, func(leaf int64) bool { return leaf < whole }), missing...)
		if whole > from {
			break
		}
	}
	for from := size; from < head; from += Batch {
		some, err := ends.Missing(ctx, from, min(from+Batch, head), false)
		if err != nil {
			return nil, err
		}
		missing = append(missing, some...)
	}
	return spans(missing), nil
}

// wholeUpTo returns where the last tile of the leaves in [from, to) ends that lacks nothing, and
// from when each lacks something.
func wholeUpTo(missing []int64, from, to int64) int64 {
	lacking := map[int64]bool{}
	for _, leaf := range missing {
		lacking[leaf/merkle.Width] = true
	}
	for end := to; end > from; end -= merkle.Width {
		if !lacking[end/merkle.Width-1] {
			return end
		}
	}
	return from
}

// spans are the ranges of positions of leaves in their order.
func spans(leaves []int64) (all []auditlog.Span) {
	for _, leaf := range leaves {
		all = auditlog.Adding(all, leaf+1)
	}
	return all
}
