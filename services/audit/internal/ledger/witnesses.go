package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// ConflictError says that a witness claims to have cosigned another tree than the one that it was
// asked about. The claim is not signed.
type ConflictError struct {
	Size int64 // that it has cosigned; 0 when it does not say
	Text string
}

// Error implements error.
func (e *ConflictError) Error() string { return e.Text }

// DisputeError says that a witness claims to have cosigned another tree than the log's, and has
// shown no checkpoint of this log that proves it. The log may have been rewound, or somebody
// answers in the place of the witness.
type DisputeError struct {
	Claim    error
	Unproven error // why what the witness shows is no proof
}

// Error implements error.
func (e *DisputeError) Error() string {
	return fmt.Sprintf("%v; that is not proven: %v", e.Claim, e.Unproven)
}

// Cosigner is a witness that can be asked.
type Cosigner struct {
	Name string
	// Ask has it cosign a signed checkpoint. prove gives the proof that the checkpoint's tree
	// begins with the one of that size. A *ConflictError says that the witness claims to know
	// another tree.
	Ask func(ctx context.Context, checkpoint string, prove func(ctx context.Context, size int64) ([]tlog.Hash, error)) (Cosignature, error)
	// Latest returns the last checkpoint of the origin that the witness shows, signed by one of
	// these keys of the log and cosigned by the witness.
	Latest func(ctx context.Context, origin string, verifiers []string) (Known, error)
}

// Asked is what a witness was asked about.
type Asked struct {
	Number   int  // of the origin; 0 when it is not known or there is none
	Cosigned bool // the witness has cosigned its newest checkpoint
}

// Cosign asks a witness about the newest checkpoint, unless it has cosigned that. Several instances
// may ask. When the witness shows a checkpoint that the log has signed and does not have, the log
// was rewound, and is halted; a *DisputeError says that it claims so and does not show it. Without
// an error the witness has cosigned, or there is nothing to cosign.
func (s *Service) Cosign(ctx context.Context, w Cosigner) (Asked, error) {
	state, err := s.store.State(ctx)
	if err != nil {
		return Asked{}, err
	}
	a := Asked{Number: state.Number, Cosigned: state.cosigned(w)}
	if a.Cosigned || state.Last.Tree.N == 0 || state.Halt != nil {
		return a, nil
	}
	err = s.ask(ctx, w, state)
	a.Cosigned = err == nil
	return a, err
}

func (s State) cosigned(w Cosigner) bool {
	return slices.ContainsFunc(s.Cosignatures, func(c Cosignature) bool { return c.Witness == w.Name })
}

// ask returns nil when the witness has cosigned.
func (s *Service) ask(ctx context.Context, w Cosigner, state State) error {
	c, err := w.Ask(ctx, state.Last.Note, func(ctx context.Context, size int64) ([]tlog.Hash, error) {
		return proofsOf(ctx, s.store, state).Tree(size, state.Last.Tree.N)
	})
	var conflict *ConflictError
	if errors.As(err, &conflict) {
		return s.disputed(ctx, w, state, conflict)
	}
	if err != nil {
		return err
	}
	return s.store.Cosigned(ctx, state.Number, state.Last.Tree.N, c)
}

// disputed looks for the proof of what a witness claims: a halt ends the signing for good, and who
// can answer in the place of one witness must not be able to do that.
func (s *Service) disputed(ctx context.Context, w Cosigner, asked State, claim *ConflictError) error {
	verifiers, err := s.keys.Verifiers(asked.Origin)
	if err != nil {
		return err
	}
	shown, unproven := w.Latest(ctx, asked.Origin, verifiers)
	now, err := s.store.State(ctx) // another instance may have asked about more meanwhile
	if err != nil {
		return err
	}
	if now.Number != asked.Number {
		return errReopened
	}
	if unproven == nil {
		cause, err := contradiction(ctx, s.store, now, shown)
		if err != nil {
			return err
		}
		if cause != "" {
			h := Halt{Cause: fmt.Sprintf("%s, which the witness %s has cosigned", cause, w.Name), Note: shown.Note}
			if err := haltLog(ctx, s.store, now.Number, now.Origin, h); err != nil {
				return err
			}
			return halted(h)
		}
		unproven = fmt.Errorf("the log begins with the checkpoint of %d events that it shows", shown.Tree.N)
	}
	if asked.Last.Tree.N < claim.Size && claim.Size <= now.Last.Tree.N {
		if now.cosigned(w) {
			return nil
		}
		return fmt.Errorf("%w, which the log has grown to meanwhile: it is asked again", claim)
	}
	return &DisputeError{Claim: claim, Unproven: unproven}
}
