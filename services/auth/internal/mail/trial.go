package mail

import (
	"context"
	"errors"
	"time"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1/reason"
)

// testLasts is how long a test mail is tried to be delivered.
const testLasts = 10 * time.Minute

var (
	// ErrLimited is an address that had as many mails as it may have within Window.
	ErrLimited = errors.New("the address had as many mails as it may have")
	// ErrNotFound is a mail that neither waits nor is parked.
	ErrNotFound = errors.New("no such mail")
)

// Status is how a mail in the queue fares.
type Status struct {
	ID          string
	Kind        Kind
	Attempts    int
	Reason      string // why the last attempt failed; "" before that
	Parked      bool
	AttemptTime time.Time
	CreateTime  time.Time
	ExpireTime  time.Time
}

// TrialStore keeps mails that are asked for by themselves. Each method is one transaction.
type TrialStore interface {
	// Queue queues a mail and records the event. ErrLimited, and neither, when the address had as
	// many as it may have.
	Queue(ctx context.Context, q *Queued, e event.Event) error
	// Status says how a mail fares that is in the queue, or ErrNotFound.
	Status(ctx context.Context, id string) (Status, error)
}

// TrialParams are what Trials are made of.
type TrialParams struct {
	Store TrialStore
	Desk  *Desk         // nil where no mail is configured
	NewID func() string // random UUIDs, version 4
	Wake  func()        // tells whoever sends mails that there may be one
}

// Trials are how administrators learn whether mail arrives.
type Trials struct{ TrialParams }

// NewTrials returns trials over their collaborators.
func NewTrials(p TrialParams) *Trials { return &Trials{p} }

// Send queues a test mail, in the language that suits accept best.
func (t *Trials) Send(ctx context.Context, to, accept string, e event.Event) (Status, error) {
	if t.Desk == nil {
		return Status{}, reason.MailNotConfigured()
	}
	q := t.Desk.Test(ctx, t.NewID(), to, accept)
	if q == nil {
		return Status{}, apierr.InternalError()
	}
	e.ObjectID = q.ID
	switch err := t.Store.Queue(ctx, q, e); {
	case errors.Is(err, ErrLimited):
		return Status{}, reason.MailLimitReached().WithRetryAfter(Window)
	case err != nil:
		return Status{}, err
	}
	t.Wake()
	return Status{ID: q.ID, Kind: q.Kind, AttemptTime: q.CreateTime, CreateTime: q.CreateTime, ExpireTime: q.ExpireTime}, nil
}

// Status says how a mail fares.
func (t *Trials) Status(ctx context.Context, id string) (Status, error) {
	s, err := t.Store.Status(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return Status{}, reason.MailNotFound()
	}
	return s, err
}
