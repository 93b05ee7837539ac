package trail

import (
	"context"
	"time"
)

// Params are what a Service is made of.
type Params struct {
	Lister    Lister
	Reader    Reader
	Feed      *Feed         // read by somebody else, again and again
	Heartbeat time.Duration // the longest silence of a tail; 0 means 5 s
}

// Service reads the trail for people.
type Service struct {
	lister    Lister
	reader    Reader
	feed      *Feed
	heartbeat time.Duration
}

// NewService returns the service over its stores.
func NewService(p Params) *Service {
	if p.Heartbeat <= 0 {
		p.Heartbeat = heartbeat
	}
	return &Service{lister: p.Lister, reader: p.Reader, feed: p.Feed, heartbeat: p.Heartbeat}
}

// List returns one page of events, newest first, and the cursor of the next page; the cursor is nil
// on the last page. A page of a search may have fewer events than there are, or none, and a next
// one all the same.
func (s *Service) List(ctx context.Context, q Query) (events []Stored, next *Cursor, err error) {
	switch {
	case q.Limit <= 0:
		q.Limit = DefaultLimit
	case q.Limit > MaxLimit:
		q.Limit = MaxLimit
	}
	if len(q.Filter.Search) > 0 {
		return s.lister.Search(ctx, q)
	}
	size := q.Limit
	q.Limit++ // one more says whether there is a next page
	events, err = s.lister.List(ctx, q)
	if err != nil || len(events) <= size {
		return events, nil, err
	}
	last := events[size-1]
	return events[:size], &Cursor{Time: last.Event.Time, Position: last.Position}, nil
}
