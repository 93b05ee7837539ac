package postgres

import (
	"context"
	"fmt"
	"time"
)

// keepCheckpoints is how long every checkpoint is kept, with what witnesses have said to it. Of
// those before, the last of each hour stays: two are signed each second, and one per hour is enough
// to find out when a log was changed.
const keepCheckpoints = 7 * 24 * time.Hour

// thinSQL removes old checkpoints but the last of each hour and of each origin.
const thinSQL = `
	with old as materialized (
		select origin, size from (
			select origin, size, time, lead(time) over (partition by origin order by size) as next
			from audit.checkpoints where time < least($1, now()) - $2 * interval '1 microsecond') c
		where date_trunc('hour', next) = date_trunc('hour', time) limit 50000),
	said as (delete from audit.cosignatures s using old o where s.origin = o.origin and s.size = o.size)
	delete from audit.checkpoints c using old o where c.origin = o.origin and c.size = o.size`

// thin removes the checkpoints that are not needed any more: what they prove, each later one does.
func (u *Upkeep) thin(ctx context.Context, now time.Time) error {
	for {
		tag, err := u.box.Pool.Exec(ctx, thinSQL, now, keepCheckpoints.Microseconds())
		if err != nil {
			return fmt.Errorf("remove old checkpoints: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return nil
		}
	}
}
