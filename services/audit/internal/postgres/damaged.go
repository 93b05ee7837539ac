package postgres

import (
	"bytes"
	"context"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
)

// Damage is what is stored at a position and is no event.
type Damage struct {
	Position int64
	Err      error
}

// Telling returns the store that tells of each read that has met damage.
func (s *Events) Telling(tell func(context.Context, []Damage)) *Events {
	told := *s
	told.damaged = tell
	return &told
}

const columnsOf = `
	select position, canonical, id::text, time, source, action, outcome, actor_id, coalesce(organization_id::text, ''), object_type, object_id, request_id
	from audit.events where position = any($1)`

// withDamaged fills in what the columns say of events that are damaged, and leaves out those that
// are gone meanwhile. Who damages the trail may store a position twice: the bytes tell which is
// meant.
func (s *Events) withDamaged(ctx context.Context, events []trail.Stored, sealed []event.Sealed, damage []Damage) ([]trail.Stored, error) {
	if s.damaged != nil {
		s.damaged(ctx, damage)
	}
	var positions []int64
	missing := map[int64][]int{} // by position, which of the events
	for i, e := range events {
		if e.Damaged {
			positions = append(positions, e.Position)
			missing[e.Position] = append(missing[e.Position], i)
		}
	}
	rows, err := s.pool.Query(ctx, columnsOf, positions)
	if err != nil {
		return nil, err
	}
	var position int64
	var canonical pgtype.DriverBytes
	var e event.Event
	_, err = pgx.ForEachRow(rows, []any{
		&position, &canonical, &e.ID, &e.Time, &e.Source, &e.Action, &e.Outcome, &e.Actor.ID, &e.OrganizationID, &e.ObjectType, &e.ObjectID, &e.RequestID,
	}, func() error {
		of := missing[position]
		if n := slices.IndexFunc(of, func(i int) bool { return bytes.Equal(sealed[i].Canonical, canonical) }); n >= 0 {
			events[of[n]].Event = e
			missing[position] = slices.Delete(of, n, n+1)
		}
		return nil
	})
	return slices.DeleteFunc(events, func(s trail.Stored) bool { return s.Damaged && s.Event.ID == "" }), err
}
