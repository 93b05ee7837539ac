package platform

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"
)

// RewindTrail puts the audit trail and its log back to the first size events, as restoring an older
// backup would: a checkpoint and its tiles are of one transaction. Audit, which remembers more, is
// killed before anybody can see the old state.
func (p *Platform) RewindTrail(ctx context.Context, size int64) error {
	audit, err := p.Service("audit")
	if err != nil {
		return err
	}
	if audit.PID == 0 {
		return errors.New("rewind the trail: Audit does not run")
	}
	conn, err := p.Database(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	tx, err := conn.Begin(ctx)
	if err != nil {
		return fmt.Errorf("rewind the trail: %w", err)
	}
	if _, err := tx.Exec(ctx, "lock table audit.coordination, audit.sequencer, audit.checkpoints in access exclusive mode"); err != nil {
		return fmt.Errorf("rewind the trail: %w", err)
	}
	for _, rows := range []string{
		"names where position > $1", "personal_values where position > $1", "events where position > $1", "marks where position > $1",
		"cosignatures where size > $1", "checkpoints where size > $1",
		"tiles where (index + 1) * (256 ^ (level + 1))::bigint > (select coalesce(max(size), 0) from audit.checkpoints where size <= $1)",
	} {
		if _, err := tx.Exec(ctx, "delete from audit."+rows, size); err != nil {
			return fmt.Errorf("rewind the trail: %w", err)
		}
	}
	if err := killed(ctx, audit.PID); err != nil {
		return fmt.Errorf("kill Audit (%d): %w", audit.PID, err)
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("rewind the trail: %w", err)
	}
	return nil
}

// killed sends SIGKILL and returns when the process is gone.
func killed(ctx context.Context, pid int) error {
	for err := syscall.Kill(pid, syscall.SIGKILL); ; err = syscall.Kill(pid, 0) {
		if err != nil {
			if errors.Is(err, syscall.ESRCH) {
				return nil
			}
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}
