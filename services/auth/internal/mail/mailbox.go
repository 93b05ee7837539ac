package mail

import (
	"context"
	"slices"
	"sync"
)

// mailboxHolds is how many mails a Mailbox keeps: the newest.
const mailboxHolds = 100

// Delivered is a mail in a Mailbox.
type Delivered struct {
	Envelope
	Letter
}

// Mailbox keeps mails in memory instead of sending them, for a developer. Whoever can read it reads
// every code that is mailed.
type Mailbox struct {
	mu    sync.Mutex
	mails []Delivered // oldest first
}

// Send implements Sender. A mail that is there already stays as it is.
func (m *Mailbox) Send(_ context.Context, e Envelope, l Letter) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if slices.ContainsFunc(m.mails, func(d Delivered) bool { return d.ID == e.ID }) {
		return nil
	}
	m.mails = append(m.mails, Delivered{e, l})
	if over := len(m.mails) - mailboxHolds; over > 0 {
		m.mails = slices.Delete(m.mails, 0, over)
	}
	return nil
}

// List returns the mails, oldest first.
func (m *Mailbox) List() []Delivered {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]Delivered{}, m.mails...)
}
