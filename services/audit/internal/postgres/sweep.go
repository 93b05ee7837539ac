package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
)

// sweeping is a walk over the events that one retention says are over, in the order of their times.
type sweeping struct {
	Organization pgtype.UUID
	Class        trail.Class
	Since        pgtype.Timestamptz // the walk ends there
	Swept        pgtype.Timestamptz // what is stored of how far it has come
	Time         pgtype.Timestamptz // it has come to this time
	Position     int64              `db:"-"` // and position
	Left         pgtype.Timestamptz `db:"-"` // time of the first event that has to wait for a later run
}

// sweepPart removes what is over of one part of the walk: of events that happened at times and
// positions after those given.
const sweepPart = `
	with part as materialized (
		select e.position, e.time, e.organization_id, ` + classOf + ` = @class and not ` + stays + `
				and (@organization_id::uuid is not null or not exists (
					select from audit.retention r where r.class = @class and r.organization_id = e.organization_id)) as over
		from audit.events e
		where (e.time, e.position) > (@time, @position) and e.time >= @time and e.time < @since
			and (@organization_id::uuid is null or e.organization_id = @organization_id)
		order by e.time, e.position limit @sweep),
	going as materialized (select position, time from part where over and position <= @settled),
	gone as (
		delete from audit.events e using going g
		where e.position = g.position and e.time = g.time and e.time >= @time and e.time < @since returning e.position),
	noted as (` + noteRemoved + ` from gone ` + byTile + `),
	forgotten as (delete from audit.personal_values v using going g where v.position = g.position returning 1)
	select (select count(*) from part), last.time, last.position, (select count(*) from gone), (select count(*) from forgotten),
		(select min(time) from part where over and position > @settled)
	from (select) one left join (select time, position from part order by time desc, position desc limit 1) last on true`

// noteRemoved begins to add positions to those that the pass over the log knows to be removed.
const noteRemoved = `
		insert into audit.removed_events (tile, positions)
		select (position - 1) / 256, bit_or(set_bit(0::bit(256), ((position - 1) % 256)::int, 1))`

// byTile ends it. In the order of the tiles, two that run at once wait for each other in one
// direction.
const byTile = "group by 1 order by 1 on conflict (tile) do update set positions = removed_events.positions | excluded.positions"

// step does one part, and reports whether there is more.
func (s *sweeping) step(ctx context.Context, tx pgx.Tx, settled int64) (more bool, err error) {
	args := pgx.StrictNamedArgs{
		"organization_id": s.Organization, "class": s.Class, "since": s.Since, "time": s.Time, "position": s.Position,
		"sweep": sweep, "settled": settled, "sign_ins": trail.SignInActions(),
	}
	var seen, events, values int64
	var last, left pgtype.Timestamptz
	var position pgtype.Int8
	if err := tx.QueryRow(ctx, sweepPart, args).Scan(&seen, &last, &position, &events, &values, &left); err != nil {
		return false, err
	}
	if err := count(ctx, tx, events, values, ""); err != nil {
		return false, err
	}
	if left.Valid && !s.Left.Valid {
		s.Left = left
	}
	more = seen == sweep
	reached := s.Since
	if more {
		reached, s.Time, s.Position = last, last, position.Int64
	}
	if s.Left.Valid {
		reached = s.Left
	}
	// Where a hold was lifted meanwhile the next run walks all of it again.
	tag, err := tx.Exec(ctx, `
		update audit.retention set swept_until = $1 where class = $2 and organization_id is not distinct from $3 and swept_until = $4`,
		reached, s.Class, s.Organization, s.Swept)
	s.Swept = reached
	return more && tag.RowsAffected() > 0, err
}
