package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/gatehouse/gatehouse/internal/auditlog"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/services/audit/internal/merkle"
)

// Bounds of a pass over the log.
const (
	passEvery = 24 * time.Hour // from the beginning of one to that of the next
	passTiles = 16             // tiles of level 0 of one step
	maxPlaces = 20             // that are named; the rest is counted
)

// Pass is how far a pass over the log has come, and what it has found.
type Pass struct {
	Tile        int64    // of level 0 that is next
	Differences int64    // between what is stored and what was signed
	Places      []string // of the first of them
	Unknown     int64    // positions without an event of which it is not known whether retention removed it
	Done        bool

	UnknownUntil int64 // the last position of which that is not known
}

func (p *Pass) differs(format string, args ...any) {
	p.Differences++
	if len(p.Places) < maxPlaces {
		p.Places = append(p.Places, fmt.Sprintf(format, args...))
	}
}

// PassStore keeps the pass and what it reads.
type PassStore interface {
	// Pass runs fn on the pass that is under way, or on a new one when the last began that long
	// ago, and stores what it returns; a pass that is done is over. What fn reads is one snapshot.
	// Without a pass to go on with it does nothing; it returns ErrBusy, at once, while another
	// instance is at it.
	Pass(ctx context.Context, every time.Duration, fn func(Pass, PassReader) (Pass, error)) error
}

// PassReader reads what is stored, as it is.
type PassReader interface {
	State(ctx context.Context) (State, error)
	// Tiles is that of Store.
	Tiles(ctx context.Context, tiles []tlog.Tile) ([][]byte, error)
	// FullTiles returns the full tiles of a level with an index in [from, to).
	FullTiles(ctx context.Context, level int, from, to int64) ([]StoredTile, error)
	// Events returns the hashes of the events that are leaves in [from, to), in any order.
	Events(ctx context.Context, from, to int64) ([]StoredLeaf, error)
	// Gone returns the leaves in the tiles of level 0 in [from, to) whose events retention has
	// removed, or were lost when the log was reopened.
	Gone(ctx context.Context, from, to int64) (map[int64]bool, error)
	// Losses returns what is stored of the events that were lost when the log was reopened.
	Losses(ctx context.Context) ([]StoredLoss, error)
}

// StoredLoss is what is stored of the events that were lost when an origin began.
type StoredLoss struct {
	Number int
	Spans  []auditlog.Span
	Event  []byte // canonical bytes of the one that says so; nil when there is none
	New    bool   // the origin began so lately that its event may not be there yet
}

// StoredTile is a full tile and what the level above says of it.
type StoredTile struct {
	merkle.Tile
	Above *tlog.Hash // nil when no full tile is above it
}

// StoredLeaf is the hash of an event that is stored.
type StoredLeaf struct {
	Index int64
	Hash  tlog.Hash
}

// Checker finds out, over a day, that what is stored is not what was signed: the sequencer reads
// the edge of the tree alone.
type Checker struct {
	store PassStore
	keys  Keys
	log   *slog.Logger
}

// NewChecker returns the checker. The keys are those that checkpoints are signed with.
func NewChecker(store PassStore, keys Keys, log *slog.Logger) *Checker {
	return &Checker{store: store, keys: keys, log: log}
}

// Step goes on with the pass, by 4,096 events at most, when one is due and no other instance is at
// it. It says in the log when the first difference of a pass is found, and what a pass has found.
func (c *Checker) Step(ctx context.Context) error {
	var before, after Pass
	err := c.store.Pass(ctx, passEvery, func(p Pass, r PassReader) (_ Pass, err error) {
		before = p
		after, err = c.step(ctx, p, r)
		return after, err
	})
	if errors.Is(err, ErrBusy) {
		return nil
	}
	if err != nil {
		return err
	}
	switch {
	case after.Differences > 0 && (after.Done || before.Differences == 0):
		c.log.ErrorContext(ctx, "the audit log is not what was signed", "differences", after.Differences, "places", after.Places, "complete", after.Done)
	case after.Done:
		c.log.InfoContext(ctx, "the audit log is what was signed", "unknown", after.Unknown)
	}
	return nil
}

func (c *Checker) step(ctx context.Context, p Pass, r PassReader) (Pass, error) {
	state, err := r.State(ctx)
	if err != nil || state.Last.Tree.N == 0 {
		return p, err // nothing was signed yet
	}
	full := state.Last.Tree.N / merkle.Width
	from, to := p.Tile, min(p.Tile+passTiles, full)
	if from >= to {
		p.Done = true
		return p, c.edge(ctx, &p, r, state)
	}
	p.Tile = to
	hashes := map[int64]tlog.Hash{}
	for l, a, b := 0, from, to; a < b; l, a, b = l+1, a/merkle.Width, b/merkle.Width {
		tiles, err := r.FullTiles(ctx, l, a, b)
		if err != nil {
			return p, err
		}
		checkTiles(&p, l, a, b, tiles)
		for _, t := range tiles {
			for i, h := range t.Hashes {
				if l == 0 {
					hashes[t.Index*merkle.Width+int64(i)] = h
				}
			}
		}
	}
	return p, checkEvents(ctx, &p, r, from*merkle.Width, to*merkle.Width, hashes)
}

// checkTiles compares full tiles with their roots, and those with the level above.
func checkTiles(p *Pass, level int, from, to int64, tiles []StoredTile) {
	found := map[int64]StoredTile{}
	for _, t := range tiles {
		found[t.Index] = t
	}
	for i := from; i < to; i++ {
		first, last := i<<(merkle.Height*(level+1))+1, (i+1)<<(merkle.Height*(level+1))
		switch t, ok := found[i]; {
		case !ok:
			p.differs("positions %d to %d: tile %d of level %d is missing", first, last, i, level)
		case merkle.Root(t.Hashes) != t.Root:
			p.differs("positions %d to %d: tile %d of level %d does not have its root", first, last, i, level)
		case t.Above != nil && *t.Above != t.Root:
			p.differs("positions %d to %d: the root of tile %d of level %d is not the one in the level above", first, last, i, level)
		}
	}
}

// checkEvents compares the events that are leaves in [from, to) with the hashes that the tree has
// of them, as far as there are any, and looks whether it is known that others are gone.
func checkEvents(ctx context.Context, p *Pass, r PassReader, from, to int64, hashes map[int64]tlog.Hash) error {
	events, err := r.Events(ctx, from, to)
	if err != nil {
		return err
	}
	gone, err := r.Gone(ctx, from/merkle.Width, (to+merkle.Width-1)/merkle.Width)
	if err != nil {
		return err
	}
	stored := map[int64][]tlog.Hash{}
	for _, e := range events {
		stored[e.Index] = append(stored[e.Index], e.Hash)
	}
	for i := from; i < to; i++ {
		want, known := hashes[i]
		switch got := stored[i]; {
		case len(got) > 1:
			p.differs("position %d: it has %d events", i+1, len(got))
		case len(got) == 1 && known && got[0] != want:
			p.differs("position %d: the event does not have the hash that the log has of it", i+1)
		case len(got) == 1 || gone[i]:
		case i < p.UnknownUntil:
			p.Unknown++
		default:
			p.differs("position %d: the event is gone, and retention did not remove it", i+1)
		}
	}
	return nil
}

// checkLosses compares what is noted as lost with the event that says so, which is compared like any
// other: whoever deletes an event and notes it as lost is found.
func checkLosses(ctx context.Context, p *Pass, r PassReader) error {
	losses, err := r.Losses(ctx)
	if err != nil {
		return err
	}
	for _, l := range losses {
		first, last := l.Spans[0].First, l.Spans[len(l.Spans)-1].Last
		switch e, err := event.Parse(l.Event); {
		case l.Number < 2:
			p.differs("positions %d to %d: some are noted as lost, and the log was never reopened before its first origin", first, last)
		case l.Event == nil && l.New:
		case l.Event == nil:
			p.differs("positions %d to %d: some are noted as lost when origin %d began, and no event says so", first, last, l.Number)
		case err != nil || !auditlog.LossOf(e).Is(l.Spans):
			p.differs("positions %d to %d: those that are noted as lost when origin %d began are not those that the event %s names", first, last, l.Number, auditlog.ReopenedAction)
		}
	}
	return nil
}

// edge looks at what no full tile has, and compares the root of the whole tree with the newest
// checkpoint, and that with its signature.
func (c *Checker) edge(ctx context.Context, p *Pass, r PassReader, state State) error {
	tree := state.Last.Tree
	first := tree.N / merkle.Width * merkle.Width
	if err := checkEvents(ctx, p, r, first, tree.N, nil); err != nil {
		return err
	}
	if err := checkLosses(ctx, p, r); err != nil {
		return err
	}
	edge, err := readEdge(ctx, r, tree.N)
	switch {
	case errors.Is(err, merkle.ErrDamaged):
		p.differs("positions %d to %d, or tiles before them: %v", first+1, tree.N, err)
	case err != nil:
		return err
	default:
		root, err := edge.Root()
		if err != nil {
			return err
		}
		if root != tree.Hash {
			p.differs("positions %d to %d, or tiles before them: the tree of %d leaves has the root %s, and %s was signed", first+1, tree.N, tree.N, root, tree.Hash)
		}
	}
	signed, err := c.signed(state)
	if err != nil {
		return err
	}
	if !signed {
		p.differs("the checkpoint of %d leaves: no key of this log has signed it", tree.N)
	}
	return nil
}

// signed reports whether the note of the newest checkpoint is one of ours, over what the row of it
// says.
func (c *Checker) signed(state State) (bool, error) {
	keys, err := c.keys.Verifiers(state.Origin)
	if err != nil {
		return false, err
	}
	var verifiers []note.Verifier
	for _, key := range keys {
		v, err := note.NewVerifier(key)
		if err != nil {
			return false, fmt.Errorf("read the log's own key: %w", err)
		}
		verifiers = append(verifiers, v)
	}
	n, err := note.Open([]byte(state.Last.Note), note.VerifierList(verifiers...))
	return err == nil && n.Text == text(state.Origin, state.Last.Tree), nil
}
