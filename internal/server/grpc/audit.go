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
	return middleware{around: func(ctx context.Context, c *call, next func(context.Context) error) error {
		err := next(ctx)
		if err == nil || c.infra || c.policy == nil || c.policy.Audit.Trail {
			return err
		}
		answer := rpcstatus.Classify(ctx, err)
		if c.denied != nil || c.admitted && answer.Kind == apierr.PermissionDenied {
			p.recorder().Denied(ctx, p.facts(c).Denied(ctx, answer.Reason, c.denied))
		}
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
			ctx = event.NewContext(ctx, p.facts(c).Began(ctx))
			err := next(ctx)
			if err == nil || !c.policy.Has(contract.Public) {
				return err
			}
			if answer := rpcstatus.Classify(ctx, err); answer.Kind == apierr.Unauthenticated {
				e, _ := event.FromContext(ctx)
				p.recorder().Failed(ctx, e, answer.Reason)
			}
			return err
		},
		message: func(ctx context.Context, c *call, m proto.Message) error {
			if !audited(c) || c.policy.Descriptor.IsStreamingClient() { // no single message says what happens
				return nil
			}
			changes, err := auditing.Changes(c.policy.Audit, m)
			if err != nil {
				return err
			}
			event.SetChanges(ctx, changes...)
			if id := p.facts(c).Object(m); id != "" {
				event.SetObject(ctx, id)
			}
			return nil
		},
	}
}

func audited(c *call) bool { return !c.infra && c.policy != nil && c.policy.Audit.Action != "" }

func (p Params) facts(c *call) auditing.Call {
	return auditing.Call{Program: p.Program, Caller: c.service, Method: c.policy, Who: c.who}
}

func (p Params) recorder() auditing.Recorder {
	return auditing.Recorder{Refusals: p.Refusals, Log: p.Log}
}
