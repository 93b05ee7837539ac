package relationship

import (
	"context"
	"time"

	"github.com/gatehouse/gatehouse/internal/cursor"
	"github.com/gatehouse/gatehouse/internal/relation"
)

// Times and bounds of watching.
const (
	// LookEvery is how often a watcher is told what changed, or that nothing did.
	LookEvery = 500 * time.Millisecond
	// KeepChanges is for how long a cursor leads on. Longer ones save nobody anything: who follows
	// has asked everything anew meanwhile.
	KeepChanges = time.Hour
	// MaxNews is the most relationships that are named at once; more are everything.
	MaxNews    = 500
	watchSize  = 50 // commands of one read
	watchReads = 2  // watchers of an instance that read at a time: the pool is for others, too
)

// News is what changed: these relationships were written or removed, or any.
type News struct {
	Tuples []relation.Tuple
	All    bool // more than are named
}

// ChangeLog reads which commands have ended. Each method is one statement.
type ChangeLog interface {
	// Now returns where the log is.
	Now(ctx context.Context) (cursor.Head, error)
	// Ended returns at most limit commands that ended after the cursor, in the order of its read,
	// and what the statement saw.
	Ended(ctx context.Context, after cursor.Cursor, limit int) ([]cursor.Row[News], cursor.Head, error)
}

// Watching tells watchers what changes. There are as many as there are instances of programs, so
// each reads for itself.
type Watching struct {
	log   ChangeLog
	every time.Duration
	reads chan struct{}
}

// NewWatching returns watching of a log that is looked at every so often.
func NewWatching(log ChangeLog, every time.Duration) *Watching {
	return &Watching{log: log, every: every, reads: make(chan struct{}, watchReads)}
}

// Watch tells what changed after the cursor, from now on after the zero one, until ctx ends. It
// tells at every look, be there news or not: whoever hears nothing cannot trust that nothing
// changed. A command is told when it has ended, as nobody was promised its effect before.
func (w *Watching) Watch(ctx context.Context, after cursor.Cursor, tell func(news News, after cursor.Cursor) error) error {
	looks := time.NewTicker(w.every)
	defer looks.Stop()
	for {
		for more := true; more; {
			var news News
			var err error
			if news, after, more, err = w.read(ctx, after); err != nil {
				return err
			}
			if err := tell(news, after); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-looks.C:
		}
	}
}

// read is one look.
func (w *Watching) read(ctx context.Context, after cursor.Cursor) (news News, next cursor.Cursor, more bool, err error) {
	select {
	case w.reads <- struct{}{}:
		defer func() { <-w.reads }()
	case <-ctx.Done():
		return news, after, false, ctx.Err()
	}
	if after.First() {
		now, err := w.log.Now(ctx)
		return news, cursor.At(now), false, err
	}
	rows, head, err := w.log.Ended(ctx, after, watchSize)
	if err != nil {
		return news, after, false, err
	}
	told, next, more, err := cursor.Advance(after, head, rows, watchSize)
	return together(told), next, more, err
}

// together names what changed once.
func together(told []cursor.Told[News]) News {
	var news News
	named := map[relation.Tuple]bool{}
	for _, t := range told {
		for _, tuple := range t.Value.Tuples {
			if !named[tuple] {
				named[tuple] = true
				news.Tuples = append(news.Tuples, tuple)
			}
		}
		if t.Value.All || len(news.Tuples) > MaxNews {
			return News{All: true}
		}
	}
	return news
}
