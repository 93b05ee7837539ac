package grpcserver

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/auditing"
	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/rpcstatus"
)

// denials records that somebody known was refused a right: what authorize refused, and what a handler answers with PERMISSION_DENIED.
// Calls that store events of others are left out, or recording them would never end.
func denials(p Params) middleware {
	return middleware{around: func(ctx context.Context, c *rpc, next func(context.Context) error) error {
		err := next(ctx)
		if err != nil && !c.infra && c.policy != nil && !c.policy.Audit.Trail {
			p.recordDenial(ctx, c, err)
		}
		return err
	}}
}

// recordDenial is a function of its own, like recordFailure and beginEvent: an open stream would
// otherwise hold room for their events on its stack.
func (p *Params) recordDenial(ctx context.Context, c *rpc, err error) {
	answer := rpcstatus.Classify(ctx, err)
	if c.denied != nil || c.admitted && answer.Kind == apierr.PermissionDenied {
		p.recorder().Denied(ctx, p.facts(c).Denied(ctx, answer.Reason, c.denied))
	}
}

// events gives the handler of each audited call the event of its request (event.FromContext), which
// the handler completes. It also records a credential that a method did not accept: nothing
// changed, so no store will. A public method that answers UNAUTHENTICATED has refused one; any
// other method says so by the event that comes with the refusal (event.Attempt).
func events(p Params) middleware {
	return middleware{
		around: func(ctx context.Context, c *rpc, next func(context.Context) error) error {
			if !audited(c) {
				return next(ctx)
			}
			ctx = p.beginEvent(ctx, c)
			err := next(ctx)
			if _, tried := event.AttemptOf(err); err != nil && (tried || c.policy.Has(contract.Public)) {
				p.recordFailure(ctx, c, err)
			}
			return err
		},
		message: func(ctx context.Context, c *rpc, m proto.Message) (context.Context, error) {
			if !audited(c) || many(c) {
				return ctx, nil
			}
			asked, err := p.facts(c).Asked(*c.event, m)
			c.event = &asked
			return event.NewContext(ctx, asked), err
		},
	}
}

func (p *Params) beginEvent(ctx context.Context, c *rpc) context.Context {
	began := p.facts(c).Began(ctx)
	c.event = &began
	if many(c) {
		ctx = event.NewContext(ctx, began)
	}
	return ctx
}

func (p *Params) recordFailure(ctx context.Context, c *rpc, err error) {
	answer := rpcstatus.Classify(ctx, err)
	if answer.Kind != apierr.Unauthenticated {
		return
	}
	e, ok := event.AttemptOf(err)
	if !ok {
		e = *c.event
	}
	p.recorder().Failed(ctx, e, answer.Reason)
}

func audited(c *rpc) bool { return !c.infra && c.policy != nil && c.policy.Audit.Action != "" }

// many reports whether no single message says what happens.
func many(c *rpc) bool { return c.policy.Descriptor.IsStreamingClient() }

func (p *Params) facts(c *rpc) auditing.Call {
	return auditing.Call{Program: p.Program, Caller: c.service, Method: c.policy, Who: c.who}
}

func (p *Params) recorder() auditing.Recorder {
	return auditing.Recorder{Refusals: p.Refusals, Log: p.Log}
}
