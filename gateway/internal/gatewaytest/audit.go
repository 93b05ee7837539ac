package gatewaytest

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/gatehouse/gatehouse/internal/apierr"
	auditv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1"
)

// Audit is Audit's public service over a slice. A cursor is how many messages came before.
type Audit struct {
	auditv1.UnimplementedAuditServiceServer

	mu       sync.Mutex
	messages []*auditv1.Event // nil is a sign of life
	changed  chan struct{}    // closed and replaced by every change
	failure  error            // ends every tail
	open     int
	listed   *auditv1.ListEventsRequest
}

// NewAudit makes an empty one.
func NewAudit() *Audit { return &Audit{changed: make(chan struct{})} }

// Add stores events; nil is a sign of life to who tails.
func (a *Audit) Add(events ...*auditv1.Event) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.messages = append(a.messages, events...)
	a.wake()
}

// Fail ends every tail with the error, now and later; nil ends that.
func (a *Audit) Fail(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failure = err
	a.wake()
}

func (a *Audit) wake() {
	close(a.changed)
	a.changed = make(chan struct{})
}

// Open is how many tails there are.
func (a *Audit) Open() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.open
}

// Listed is the last request of ListEvents.
func (a *Audit) Listed() *auditv1.ListEventsRequest {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.listed
}

// ListEvents returns events of the actor that is asked for, newest first. A page token is how many
// came before.
func (a *Audit) ListEvents(_ context.Context, r *auditv1.ListEventsRequest) (*auditv1.ListEventsResponse, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.listed, _ = proto.Clone(r).(*auditv1.ListEventsRequest)
	skip, err := strconv.Atoi(cmp.Or(r.GetPageToken(), "0"))
	if err != nil {
		return nil, apierr.New(apierr.InvalidArgument, "INVALID_ARGUMENT", "no such page").WithField("page_token", "page_token", "must be one of this list")
	}
	var matching []*auditv1.Event
	for _, event := range slices.Backward(a.messages) {
		if matches(r, event) {
			matching = append(matching, event)
		}
	}
	answer := &auditv1.ListEventsResponse{Events: matching[min(skip, len(matching)):]}
	if size := int(r.GetPageSize()); size > 0 && size < len(answer.GetEvents()) {
		answer.Events, answer.NextPageToken = answer.GetEvents()[:size], strconv.Itoa(skip+size)
	}
	return answer, nil
}

// matches reports whether the event is of the actor that is asked for.
func matches(r interface{ GetActorId() string }, event *auditv1.Event) bool {
	return event != nil && (r.GetActorId() == "" || event.GetActor().GetId() == r.GetActorId())
}

// TailEvents says at once where it begins, then sends what is added.
func (a *Audit) TailEvents(r *auditv1.TailEventsRequest, stream auditv1.AuditService_TailEventsServer) error {
	a.mu.Lock()
	a.open++
	end := len(a.messages)
	at := end
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.open--
	}()
	if r.GetCursor() != "" {
		var err error
		if at, err = strconv.Atoi(r.GetCursor()); err != nil || at < 0 || at > end {
			return apierr.New(apierr.InvalidArgument, "INVALID_ARGUMENT", "no such cursor").WithField("cursor", "cursor", "must be one of this trail")
		}
	}
	if err := a.failed(); err != nil {
		return err
	}
	if err := stream.Send(&auditv1.TailEventsResponse{Cursor: strconv.Itoa(at)}); err != nil {
		return err
	}
	for {
		a.mu.Lock()
		pending, changed, failure := a.messages[at:], a.changed, a.failure
		a.mu.Unlock()
		for _, event := range pending {
			at++
			if event != nil && !matches(r, event) {
				continue
			}
			if err := stream.Send(&auditv1.TailEventsResponse{Event: event, Cursor: strconv.Itoa(at)}); err != nil {
				return err
			}
		}
		if failure != nil {
			return failure
		}
		select {
		case <-stream.Context().Done():
			return stream.Context().Err()
		case <-changed:
		}
	}
}

func (a *Audit) failed() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.failure
}
