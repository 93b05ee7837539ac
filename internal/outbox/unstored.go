//go:build gatehouse_outbox_off

package outbox

import (
	"sync"

	"github.com/jackc/pgx/v5"
)

// unstored is the naive version: messages wait in memory, and a crash between the commit and the delivery loses them.
type unstored struct {
	mu        sync.Mutex
	open      map[pgx.Tx][]Message
	committed map[string][]Message // by topic
}

// keep holds the messages of a transaction back until it ends.
func (u *unstored) keep(tx pgx.Tx, messages []Message) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.open == nil {
		u.open, u.committed = map[pgx.Tx][]Message{}, map[string][]Message{}
	}
	u.open[tx] = append(u.open[tx], messages...)
	return true
}

// settle releases them after a commit and drops them otherwise.
func (u *unstored) settle(tx pgx.Tx, committed bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, m := range u.open[tx] {
		if committed {
			u.committed[m.Topic] = append(u.committed[m.Topic], m)
		}
	}
	delete(u.open, tx)
}

// take removes what waits for a topic.
func (u *unstored) take(topic string, most int) []Message {
	u.mu.Lock()
	defer u.mu.Unlock()
	waiting := u.committed[topic]
	n := min(most, len(waiting))
	if n == 0 {
		return nil
	}
	taken := waiting[:n:n]
	u.committed[topic] = waiting[n:]
	return taken
}
