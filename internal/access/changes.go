package access

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse/gatehouse/internal/relation"
)

// Change is a relationship that was written or removed: whose questions may be answered otherwise
// now.
type Change struct {
	Object  string   // "type:id", which the questions are about
	Subject string   // "type:id" who is asked about; "" is anybody
	From    []string // types whose objects the questions may be about, too
}

// Changes knows which streams are concerned by what changed, so that the others need not ask again.
// Whoever follows Authz tells it. Safe for concurrent use.
type Changes struct {
	now    func() time.Time
	spread *spread

	mu      sync.Mutex
	streams map[*watched]struct{}
	heard   time.Time // when Told was called last
}

// NewChanges returns what has heard of nothing yet: every stream asks at each turn.
func NewChanges(now func() time.Time) *Changes {
	return &Changes{now: now, spread: &spread{begin: now()}, streams: map[*watched]struct{}{}}
}

// Told notes that these relationships have changed since it was called before, or, with all, that
// any may have. It is called without changes too: they are all until now.
func (c *Changes) Told(changes []Change, all bool) {
	about := digest(changes)
	c.mu.Lock()
	defer c.mu.Unlock()
	if all || len(changes) > 0 {
		for w := range c.streams {
			if all || about.concerns(w) {
				w.concerned.Store(true)
			}
		}
	}
	c.heard = c.now()
}

// silent reports whether nothing was heard for so long.
func (c *Changes) silent(limit time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now().Sub(c.heard) > limit
}

func (c *Changes) join(w *watched) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.streams[w] = struct{}{}
}

func (c *Changes) leave(w *watched) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.streams, w)
}

// places are objects and types of objects.
type places struct{ objects, types map[string]bool }

// concerned is where questions about each subject are concerned; "" is anybody.
type concerned map[string]places

func digest(changes []Change) concerned {
	about := concerned{}
	for _, c := range changes {
		p, ok := about[c.Subject]
		if !ok {
			p = places{map[string]bool{}, map[string]bool{}}
			about[c.Subject] = p
		}
		p.objects[c.Object] = true
		maps.Insert(p.types, maps.All(set(c.From)))
	}
	return about
}

func set(names []string) map[string]bool {
	s := make(map[string]bool, len(names))
	for _, n := range names {
		s[n] = true
	}
	return s
}

func (about concerned) concerns(w *watched) bool {
	asked, _ := w.standing.get()
	return slices.ContainsFunc([]string{"", w.subject}, func(subject string) bool {
		p, ok := about[subject]
		return ok && slices.ContainsFunc(asked, func(q Question) bool {
			object := relation.Canonical(q.Object)
			kind, _, _ := strings.Cut(object, ":")
			return p.objects[object] || p.types[kind]
		})
	})
}
