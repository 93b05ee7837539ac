package grpcserver

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/proto"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/request"
)

// actionDenied is the action of every refusal of a right.
const actionDenied = "permission.denied"

// recordTimeout bounds how long an answer waits for the record of its refusal.
const recordTimeout = 2 * time.Second

// denials records that somebody known was refused a right: what authorize refused, and what a handler answers with PERMISSION_DENIED.
// Calls that store events of others are left out, or recording them would never end.
func denials(p Params) middleware {
	return middleware{around: func(ctx context.Context, c *call, next func(context.Context) error) error {
		err := next(ctx)
		if err == nil || c.infra || c.policy == nil || c.policy.Audit.Trail {
			return err
		}
		answer := decide(ctx, err)
		if c.denied == nil && (!c.admitted || answer.Kind != apierr.PermissionDenied) {
			return err
		}
		e := p.begun(ctx, c)
		e.Action, e.Outcome, e.Reason = actionDenied, event.Denied, answer.Reason
		if c.denied != nil {
			e.ObjectType, e.ObjectID, e.Reason = c.denied.objectType, c.denied.objectID, reasonPermissionDenied
		}
		p.record(ctx, e, actorKey(e), e.ObjectType+":"+e.ObjectID)
		return err
	}}
}

// drafts gives each audited call the draft of its event, for the store that makes the change. It also records a credential that a public
// method did not accept: nothing changed, so no store will.
func drafts(p Params) middleware {
	return middleware{
		around: func(ctx context.Context, c *call, next func(context.Context) error) error {
			if !audited(c) {
				return next(ctx)
			}
			e := p.begun(ctx, c)
			e.Action, e.Outcome, e.ObjectType = c.policy.Audit.Action, event.Success, c.policy.Audit.ObjectType
			ctx = event.NewContext(ctx, e)
			err := next(ctx)
			if err == nil || !c.policy.Has(contract.Public) {
				return err
			}
			if answer := decide(ctx, err); answer.Kind == apierr.Unauthenticated {
				e, _ = event.FromContext(ctx)
				e.Outcome, e.Reason = event.Failure, answer.Reason
				account, key := failureKey(e)
				p.record(ctx, e, account, key)
			}
			return err
		},
		message: func(ctx context.Context, c *call, m proto.Message) error {
			if !audited(c) || c.policy.Descriptor.IsStreamingClient() { // no single message says what happens
				return nil
			}
			changes, err := changesOf(c.policy.Audit, m)
			if err != nil {
				return err
			}
			event.SetChanges(ctx, changes...)
			// Without credentials anybody may name anything: there the handler says what a request
			// is about, once it has found it (R90).
			if value, ok := stringField(m.ProtoReflect(), c.policy.Audit.Object); ok && value != "" && !c.policy.Has(contract.Public) {
				event.SetObject(ctx, askable(value))
			}
			return nil
		},
	}
}

func audited(c *call) bool { return !c.infra && c.policy != nil && c.policy.Audit.Action != "" }

// begun is what every event of a call says: who, by which program and method, in which request.
func (p Params) begun(ctx context.Context, c *call) event.Event {
	e := event.Event{
		Source: p.Program, Caller: c.service, Method: strings.TrimPrefix(c.method, "/"),
		Actor: event.Actor{Type: event.Anonymous}, RequestID: request.ID(ctx),
	}
	switch {
	case c.who != nil:
		e.Actor = event.Actor{Type: event.User, ID: c.who.UserID, SessionID: c.who.SessionID, ClientID: c.who.ClientID}
		e.OrganizationID = c.who.OrganizationID
	case c.policy.Has(contract.Service):
		e.Actor = event.Actor{Type: event.Service, ID: c.service}
	}
	if span := trace.SpanContextFromContext(ctx); span.HasTraceID() {
		e.TraceID = span.TraceID().String()
	}
	return e
}

// record hands a refusal to the trail, also when the client has gone: leaving early would keep it out. It never changes the answer: who
// is refused stays refused when the trail cannot be written.
func (p Params) record(ctx context.Context, e event.Event, account, key string) {
	if p.Refusals == nil {
		return
	}
	detached, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	if err := p.Refusals.Refused(detached, e, account, key); err != nil {
		p.Log.ErrorContext(ctx, "a refusal is not recorded", slog.String("action", e.Action), slog.String("method", e.Method),
			slog.String("reason", e.Reason), slog.String("error", err.Error()))
	}
}

// actorKey is whose budget a denial counts against: that of who was denied, since nobody may tell
// from a refusal whether the object exists. It is empty for nobody known.
func actorKey(e event.Event) string {
	if e.Actor.ID == "" {
		return ""
	}
	return e.Actor.Type + ":" + e.Actor.ID
}

// failureKey tells failures of one kind apart: by the account that the handler found, else by what
// the request said. The values may be personal, so only their hash is a key.
func failureKey(e event.Event) (account, key string) {
	if e.ObjectID != "" {
		return e.ObjectType + ":" + e.ObjectID, ""
	}
	h := sha256.New()
	for _, change := range e.Changes {
		h.Write([]byte(change.Field + "="))
		h.Write(change.Value)
		h.Write([]byte{0})
	}
	return "", hex.EncodeToString(h.Sum(nil))
}

// objectOf names what a request was about: the object that its event would name, else that of the first permission or self alternative
// that has a value. Values that cannot be an id are left out: they are whatever somebody typed.
func objectOf(m *contract.Method, message proto.Message) denial {
	from := func(objectType, field string) (denial, bool) {
		value, _ := stringField(message.ProtoReflect(), field)
		id := askable(value)
		return denial{objectType: objectType, objectID: id}, field != "" && id != ""
	}
	if d, ok := from(m.Audit.ObjectType, m.Audit.Object); ok {
		return d
	}
	var fixed denial
	for _, a := range m.Access {
		objectType := a.ObjectType
		if a.Kind == contract.Self {
			objectType = "user"
		}
		if d, ok := from(objectType, a.Field); ok {
			return d
		}
		if a.ObjectID != "" {
			fixed = denial{objectType: a.ObjectType, objectID: a.ObjectID}
		}
	}
	return fixed
}
