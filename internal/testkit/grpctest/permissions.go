package grpctest

import (
	"context"
	"slices"
	"sync"

	"github.com/gatehouse/gatehouse/internal/access"
	"github.com/gatehouse/gatehouse/internal/event"
)

// Grants is what Permissions answers in a test of a service: a table of who may do what. How Authz comes to its answers is tested there.
type Grants struct {
	mu    sync.Mutex
	held  map[grant]bool
	err   error
	asked []Asked
}

type grant struct{ subject, relation, object string }

// Asked is one request to Permissions.
type Asked struct {
	Subject   string
	Questions []access.Question
	Token     string
}

// NewGrants makes an empty table: nobody may do anything that needs a permission.
func NewGrants() *Grants { return &Grants{held: map[grant]bool{}} }

// Allow lets a user ("8f14…", without its type) have a relation to an object ("organization:8f14…").
func (g *Grants) Allow(userID, relation, object string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held[grant{"user:" + userID, relation, object}] = true
}

// Revoke takes back what Allow gave.
func (g *Grants) Revoke(userID, relation, object string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.held, grant{"user:" + userID, relation, object})
}

// Fail makes every further question fail; nil ends that.
func (g *Grants) Fail(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.err = err
}

// Asked returns everything that was asked so far.
func (g *Grants) Asked() []Asked {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.asked)
}

// Allowed answers from the table.
func (g *Grants) Allowed(_ context.Context, subject string, asked []access.Question, token string) ([]bool, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked = append(g.asked, Asked{Subject: subject, Questions: slices.Clone(asked), Token: token})
	if g.err != nil {
		return nil, g.err
	}
	answers := make([]bool, len(asked))
	for i, q := range asked {
		answers[i] = g.held[grant{subject, q.Relation, q.Object}]
	}
	return answers, nil
}

// Trail keeps what was refused, in place of an outbox.
type Trail struct {
	mu      sync.Mutex
	refused []Refusal
	err     error
}

// Refusal is one record.
type Refusal struct {
	Event        event.Event
	Account, Key string
}

// NewTrail makes an empty trail.
func NewTrail() *Trail { return &Trail{} }

// Fail makes every further record fail; nil ends that.
func (r *Trail) Fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

// Refused keeps the event, unless ctx has ended.
func (r *Trail) Refused(ctx context.Context, e event.Event, account, key string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if r.err != nil {
		return r.err
	}
	r.refused = append(r.refused, Refusal{Event: e, Account: account, Key: key})
	return nil
}

// Refusals returns everything that was refused so far.
func (r *Trail) Refusals() []Refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.refused)
}

// Draft returns a context with the event of a request, as the chain gives it to the handler of a
// signed-in user's call. Tests of stores use it.
func Draft(ctx context.Context, source, action, objectType, userID string) context.Context {
	return event.NewContext(ctx, event.Event{
		Source: source, Caller: "gateway", Action: action, Outcome: event.Success, ObjectType: objectType, RequestID: "test-request",
		Actor: event.Actor{Type: event.User, ID: userID},
	})
}
