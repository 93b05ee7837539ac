// Package auditing says what the trail records about a call: the event that the contract describes,
// with who, where and what of the request, and what becomes of a refusal.
//
// The gRPC server and the wiring import it. Where events are stored is the business of
// internal/outbox.
package auditing

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/proto"

	"github.com/gatehouse/gatehouse/internal/access"
	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/request"
)

// actionDenied is the action of every denial.
const actionDenied = "permission.denied"

// recordTimeout bounds how long a response waits for the record of its refusal.
const recordTimeout = 2 * time.Second

// Refusals records what was refused: *refusals.Recorder is one.
type Refusals interface {
	// Refused records the event; repeated ones of one action, method, reason, account and key
	// within a minute are counted instead. An account exists: refusals about it, or of it, are
	// never counted together with those of strangers.
	Refused(ctx context.Context, e event.Event, account, key string) error
}

// Records reports whether calls of a method may have to be recorded: it is audited, or somebody
// known may be refused a right to it.
func Records(m *contract.Method) bool {
	return m.Audit.Action != "" || m.Has(contract.SignedIn) || m.Has(contract.Self) || m.Has(contract.Permission)
}

// Call is what is known of a call before its handler runs.
type Call struct {
	Program string           // that serves it
	Caller  string           // program that calls
	Method  *contract.Method // its contract
	Who     *request.Subject // nil without a token
}

// Began is the event of the call as far as the contract tells it without the request: a success.
func (c Call) Began(ctx context.Context) event.Event {
	e := c.begun(ctx)
	e.Action, e.Outcome, e.ObjectType = c.Method.Audit.Action, event.Success, c.Method.Audit.ObjectType
	return e
}

// begun is what every event of a call says: who, by which program and method, in which request.
func (c Call) begun(ctx context.Context) event.Event {
	e := event.Event{
		Source: c.Program, Caller: c.Caller, Method: strings.TrimPrefix(c.Method.FullName, "/"),
		Actor: event.Actor{Type: event.Anonymous}, RequestID: request.ID(ctx),
	}
	client := request.ClientOf(ctx)
	e.ClientAddress, e.ClientAgent = client.Address, client.Agent
	switch {
	case c.Who != nil:
		e.Actor = event.Actor{Type: event.User, ID: c.Who.UserID, SessionID: c.Who.SessionID, ClientID: c.Who.ClientID}
		e.OrganizationID = c.Who.OrganizationID
	case c.Method.Has(contract.Service):
		e.Actor = event.Actor{Type: event.Service, ID: c.Caller}
	}
	if span := trace.SpanContextFromContext(ctx); span.HasTraceID() {
		e.TraceID = span.TraceID().String()
	}
	return e
}

// Asked completes the event by what the request says: the fields that it sets, and the object that
// it names. Without credentials anybody may name anything: there the handler says what a request is
// about, once it has found it (R90).
func (c Call) Asked(e event.Event, m proto.Message) (event.Event, error) {
	var err error
	e.Changes, err = Changes(c.Method.Audit, m)
	if !c.Method.Has(contract.Public) {
		e.ObjectID = access.ID(m, c.Method.Audit.Object)
	}
	return e, err
}

// Denied is the event of a refused right; about is what the subject was refused, nil when the
// handler refused it.
func (c Call) Denied(ctx context.Context, reason string, about *access.Object) event.Event {
	e := c.begun(ctx)
	e.Action, e.Outcome, e.Reason = actionDenied, event.Denied, reason
	if about != nil {
		e.ObjectType, e.ObjectID, e.Reason = about.Type, about.ID, apierr.PermissionDeniedError().Reason
	}
	return e
}

var errNowhere = errors.New("the program has nothing to record it in")

// Recorder records refusals.
type Recorder struct {
	Refusals Refusals // nil where nothing has to be recorded (Records)
	Log      *slog.Logger
}

// Denied records a denial. It counts against who was denied, since nobody may tell from a refusal
// whether the object exists.
func (r Recorder) Denied(ctx context.Context, e event.Event) {
	account := ""
	if e.Actor.ID != "" {
		account = e.Actor.Type + ":" + e.Actor.ID
	}
	r.record(ctx, e, account, e.ObjectType+":"+e.ObjectID)
}

// Failed records an attempt that did not work. Failures of one kind are told apart by the account
// that the handler found, else by what the request said: the values may be personal, so only their
// hash is a key.
func (r Recorder) Failed(ctx context.Context, e event.Event, reason string) {
	e.Outcome, e.Reason = event.Failure, reason
	if e.ObjectID != "" {
		r.record(ctx, e, e.ObjectType+":"+e.ObjectID, "")
		return
	}
	h := sha256.New()
	for _, change := range e.Changes {
		h.Write([]byte(change.Field + "="))
		h.Write(change.Value)
		h.Write([]byte{0})
	}
	r.record(ctx, e, "", hex.EncodeToString(h.Sum(nil)))
}

// record hands a refusal to the trail, also when the client has gone: leaving early would keep it
// out. It never changes the response: who is refused stays refused when the trail cannot be
// written.
func (r Recorder) record(ctx context.Context, e event.Event, account, key string) {
	detached, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	err := errNowhere
	if r.Refusals != nil {
		err = r.Refusals.Refused(detached, e, account, key)
	}
	if err != nil {
		r.Log.ErrorContext(ctx, "a refusal is not recorded", slog.String("action", e.Action), slog.String("method", e.Method),
			slog.String("reason", e.Reason), slog.String("error", err.Error()))
	}
}
