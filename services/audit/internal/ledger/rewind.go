package ledger

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/gatehouse/gatehouse/internal/auditlog"
)

// Known is a checkpoint that somebody knows to be signed.
type Known struct {
	Origin string
	Tree   tlog.Tree
	Note   string
}

// Known verifies a checkpoint that somebody has kept: one of these keys has signed it, as the origin
// that it names, which may be one of before the log was reopened.
func (k Keys) Known(note []byte) (Known, error) {
	c, err := auditlog.ParseNote(note)
	if err != nil {
		return Known{}, errors.New("this is no signed checkpoint")
	}
	verifiers, err := k.Verifiers(c.Origin)
	if err != nil {
		return Known{}, err
	}
	trusted, err := auditlog.ParseKeys(verifiers, nil)
	if err != nil {
		return Known{}, err
	}
	signed, err := trusted.Open(note)
	return Known{Origin: signed.Origin, Tree: tlog.Tree{N: signed.Size, Hash: signed.Root}, Note: string(note)}, err
}

// compare finds out that the log is not the one that was known: an older state of the database was
// restored, or another one. Without anything known from outside it cannot know. Then the origin is
// halted, for all instances.
func (s *Sequencer) compare(ctx context.Context, state State) error {
	if state.Halt != nil {
		return halted(*state.Halt)
	}
	if s.known.Origin != "" {
		cause, err := s.rewound(ctx, state)
		if err != nil {
			return err
		}
		if cause != "" {
			return s.halt(ctx, state, Halt{Cause: cause, Note: s.known.Note})
		}
	}
	if state.Last.Tree.N > 0 {
		s.known = Known{Origin: state.Origin, Tree: state.Last.Tree, Note: state.Last.Note}
	}
	return nil
}

// rewound returns what contradicts the known checkpoint; "" when nothing does.
func (s *Sequencer) rewound(ctx context.Context, state State) (string, error) {
	if s.edge != nil && s.signed == state.Last.Tree && s.known.Origin == state.Origin && s.known.Tree.N <= state.Last.Tree.N {
		return "", nil // it is what this instance has made of the known one
	}
	return contradiction(ctx, s.store, state, s.known)
}

// contradiction returns what of the log contradicts a checkpoint that is known; "" when nothing
// does.
func contradiction(ctx context.Context, store Store, state State, known Known) (string, error) {
	if state.Origin != known.Origin && state.Number > 0 {
		prefix, n := auditlog.OriginNumber(known.Origin)
		own, _ := auditlog.OriginNumber(state.Origin)
		switch {
		case prefix != own:
			return "", fmt.Errorf("the checkpoint that is known is one of %s, and this log is %s: name one of this log", known.Origin, state.Origin)
		case n < state.Number:
			return "", nil // it was reopened since
		}
		return fmt.Sprintf("the log is %s, and a checkpoint of %s is known", state.Origin, known.Origin), nil
	}
	switch {
	case state.Last.Tree.N < known.Tree.N:
		return fmt.Sprintf("the log has a checkpoint of %d events, and one of %d is known", state.Last.Tree.N, known.Tree.N), nil
	case state.Last.Tree == known.Tree:
		return "", nil
	}
	root, err := proofsOf(ctx, store, state).Root(known.Tree.N)
	if err != nil {
		return "", err
	}
	if root != known.Tree.Hash {
		return fmt.Sprintf("the first %d events of the log are not those of the checkpoint that is known", known.Tree.N), nil
	}
	return "", nil
}

// halt ends the signing of the origin that was compared; of a database that has none yet, that of
// the known one.
func (s *Sequencer) halt(ctx context.Context, compared State, h Halt) error {
	err := haltLog(ctx, s.store, compared.Number, s.known.Origin, h)
	if err != nil && !errors.Is(err, ErrBusy) { // busy: the next look halts it
		return err
	}
	return halted(h)
}

// haltLog ends the signing of the origin of that number, which was compared. What is known of it
// says nothing of one that was begun meanwhile.
func haltLog(ctx context.Context, store Store, compared int, origin string, h Halt) error {
	return store.Grow(ctx, func(t Turn) error {
		state, err := t.State(ctx)
		if err != nil {
			return err
		}
		if state.Number != compared {
			return errReopened
		}
		if state.Number == 0 {
			_, n := auditlog.OriginNumber(origin)
			state.Number = max(n, 1)
			if err := t.Open(ctx, state.Number, origin); err != nil {
				return err
			}
		}
		return t.Halt(ctx, state.Number, h)
	})
}

var errReopened = errors.New("the log was reopened while it was compared: it is compared again")

func halted(h Halt) error { return fmt.Errorf("%w: %s", ErrHalted, h.Cause) }
