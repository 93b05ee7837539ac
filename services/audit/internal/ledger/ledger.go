// Package ledger makes the trail provable: it grows the Merkle tree over the stored events, signs
// checkpoints of it, and proves what a checkpoint covers.
//
//	trail ──► Sequencer ──► tiles and signed checkpoints, one instance at a time ──► Service ──► checkpoints and proofs
//
// A checkpoint is a C2SP tlog-checkpoint (c2sp.org/tlog-checkpoint) in a signed note
// (c2sp.org/signed-note). Position p of the trail is leaf p-1, so a tree of size n covers the
// positions 1 to n.
package ledger

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/gatehouse/gatehouse/internal/auditlog"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/services/audit/internal/merkle"
)

// Checkpoint is what was signed.
type Checkpoint struct {
	Tree tlog.Tree // number of leaves, and their root hash
	Note string    // the signed note
}

// Cosignature is what a witness said to a checkpoint.
type Cosignature struct {
	Witness string // its name
	Line    string // of the note, without its end
}

// Halt says that an origin signs no more.
type Halt struct {
	Cause string
	Note  string // the last checkpoint that is known; empty when only its size is
}

// text is what is signed of a tree (C2SP tlog-checkpoint).
func text(origin string, tree tlog.Tree) string {
	return fmt.Sprintf("%s\n%d\n%s\n", origin, tree.N, base64.StdEncoding.EncodeToString(tree.Hash[:]))
}

// State is where the log stands.
type State struct {
	Number int        // of the origin, from 1; 0 before the first
	Origin string     // the name under which checkpoints are signed
	Last   Checkpoint // of this origin; the zero one before the first
	Halt   *Halt      // nil while the origin signs

	Cosignatures []Cosignature // of the last checkpoint

	Tiles int64 // full tiles of level 0
	Head  int64 // last position of the trail
}

// Reopened is an origin that follows another one.
type Reopened struct {
	Number int
	Origin string
	Reason string
	Note   string          // the last checkpoint that is known of the origin before
	Lost   []auditlog.Span // positions at the end of the trail that have no event any more
}

// ErrHalted says that the log signs no more.
var ErrHalted = errors.New("the audit log signs no more checkpoints")

// ErrBusy says that another instance goes on with the log.
var ErrBusy = errors.New("another instance goes on with the log")

// Store keeps the log.
type Store interface {
	// State returns where the log stands, as whoever holds the lock has left it.
	State(ctx context.Context) (State, error)
	// Grow runs fn in a transaction that holds the lock of the log. It returns ErrBusy, at once,
	// while another instance holds it. What fn adds is durable when Grow returns nil, and never was
	// when fn failed.
	Grow(ctx context.Context, fn func(Turn) error) error
	// Tiles returns the data of tiles: what is stored, or, of those at the edge, what is below
	// them. The data of a tile that is not there is shorter than its width.
	Tiles(ctx context.Context, tiles []tlog.Tile) ([][]byte, error)
	// SignedAt returns the note that the origin signed for exactly that size; "" when there is
	// none.
	SignedAt(ctx context.Context, number int, size int64) (string, error)
	// Reopen begins the origin that next returns of what is stored, and records the event, in one
	// transaction under the lock of the log. It returns ErrBusy when another instance holds it for
	// long.
	Reopen(ctx context.Context, next func(context.Context, Ends) (Reopened, event.Event, error)) error
	// Cosigned adds what a witness said to the checkpoint of that size; what it has said before
	// stays.
	Cosigned(ctx context.Context, number int, size int64, c Cosignature) error
	// Event returns an event as it is stored; found is false when there is none.
	Event(ctx context.Context, id string) (e Event, found bool, err error)
	// Leaves returns what is stored of the leaves from the index on, in order and before the index
	// to, and the index that is next: at most some hundred leaves and about a MiB. One of which
	// nothing is stored is left out.
	Leaves(ctx context.Context, from, to int64) (leaves []Leaf, next int64, err error)
	// Signed returns the notes that the origin signed for the sizes after one, up to another,
	// smallest first; at most limit, of the largest.
	Signed(ctx context.Context, number int, after, upTo int64, limit int) ([]string, error)
}

// Leaf is what is stored of a leaf of the tree.
type Leaf struct {
	Index     int64
	Canonical []byte     // nil when the event is gone
	Hash      *tlog.Hash // that the tree was made of; nil where no full tile has it yet
	Removed   bool       // by retention
	Lost      bool       // when the log was reopened
}

// Turn is what can be done while the lock of the log is held.
type Turn interface {
	State(ctx context.Context) (State, error)
	Tiles(ctx context.Context, tiles []tlog.Tile) ([][]byte, error)
	// Leaves returns the hashes of the leaves from the index on, at most limit, up to the first
	// that is missing.
	Leaves(ctx context.Context, from int64, limit int) ([]tlog.Hash, error)
	// Open begins an origin.
	Open(ctx context.Context, number int, origin string) error
	// Halt ends the signing of an origin. A second one changes nothing.
	Halt(ctx context.Context, number int, h Halt) error
	// Add stores full tiles and the checkpoint that covers them.
	Add(ctx context.Context, number int, tiles []merkle.Tile, c Checkpoint) error
}

// Ends reads the end of the log, to go on from it.
type Ends interface {
	State(ctx context.Context) (State, error)
	Tiles(ctx context.Context, tiles []tlog.Tile) ([][]byte, error)
	// Events returns the hashes of the events that are leaves in [from, to), in any order.
	Events(ctx context.Context, from, to int64) ([]StoredLeaf, error)
	// Missing returns the leaves in [from, to), in their order, of which neither the event nor,
	// where no tile has it, its hash is stored, and which were not lost before. Where tiles have
	// the hashes those are not missing whose events retention has removed, or may have, before that
	// was recorded.
	Missing(ctx context.Context, from, to int64, tiled bool) ([]int64, error)
}

// Event is an event as it is stored.
type Event struct {
	Position       int64
	OrganizationID string // empty when it happened in none
	Canonical      []byte
	Personal       []Personal // those that are not erased
}

// Personal is a value that the canonical bytes hold a salted hash of.
type Personal struct {
	Field string
	Salt  []byte
	Value string // JSON
}
