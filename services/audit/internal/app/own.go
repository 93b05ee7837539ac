package app

import (
	"context"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
)

// own delivers Audit's own events, its refusals, without a way through the mesh.
func own(w *trail.Writer) outbox.Deliver {
	return func(ctx context.Context, messages []outbox.Message) (poison []outbox.Poison, err error) {
		sealed := make([]event.Sealed, 0, len(messages))
		ids := make([]string, 0, len(messages))
		for _, m := range messages {
			s, err := event.UnmarshalSealed(m.Payload)
			if err != nil {
				poison = append(poison, outbox.Poison{ID: m.ID, Reason: err.Error()})
				continue
			}
			sealed, ids = append(sealed, s), append(ids, m.ID)
		}
		inbound := trail.Accept(Name, sealed)
		batch, err := w.Sender().Send(ctx, inbound.Entries)
		if err != nil {
			return poison, err
		}
		verdicts, err := batch.Wait(ctx)
		if err != nil {
			return poison, err
		}
		for _, r := range inbound.Settle(verdicts) {
			poison = append(poison, outbox.Poison{ID: ids[r.Index], Reason: r.Reason + ": " + r.Message})
		}
		return poison, nil
	}
}
