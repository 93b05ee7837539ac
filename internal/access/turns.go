package access

import (
	"math"
	"sync/atomic"
	"time"
)

// rounds is how many turns of a stream pass until it asks again though nothing is said to have
// changed: with turns of 3 s, a minute.
const rounds = 20

// turns says when a stream has its turns: every so often, at moments of its own, so that streams
// which began together do not ask together.
type turns struct {
	every time.Duration
	first time.Time
}

// spread gives the places of streams within a round: by the golden ratio any number of them that
// follow each other lie evenly (Weyl's sequence).
type spread struct {
	begin time.Time
	count atomic.Uint64
}

func (s *spread) next(every time.Duration) turns {
	_, place := math.Modf(float64(s.count.Add(1)) * math.Phi)
	return turns{every: every, first: s.begin.Add(time.Duration((place - 1) * float64(rounds*every)))}
}

// wait is how long it is until the next turn.
func (t turns) wait(now time.Time) time.Duration {
	return t.every - now.Sub(t.first)%t.every
}

// round numbers the minute, as it were, in which a turn is.
func (t turns) round(now time.Time) int64 {
	return int64(now.Sub(t.first) / (rounds * t.every))
}
