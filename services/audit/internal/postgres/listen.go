package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/pg"
)

// Notify tells every instance that something was stored. It is called after the commit: inside of
// transactions NOTIFY makes their commits wait for each other. The channel has a name that no other
// role knows: channels are the whole database's, and whoever knew it could wake all instances
// without end.
func (s *Events) Notify(ctx context.Context) error {
	_, err := s.pool.Exec(ctx, "select pg_notify(channel, '') from audit.coordination")
	return pg.Error(err)
}

// Times of listening. A connection is given back before the pool's and the sidecar's limits on its age.
const (
	listenFor   = 4 * time.Minute
	listenAgain = time.Second
)

// Listen calls wake for each notification until ctx ends, on a connection of its own, and whenever it may have missed one. What gets
// lost besides is found by those who also look by themselves.
func (s *Events) Listen(ctx context.Context, wake func()) {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
		next := listenAgain
		if err := s.listen(ctx, wake); errors.Is(err, context.DeadlineExceeded) {
			next = 0 // its time is up
		}
		pause.Reset(next)
	}
}

func (s *Events) listen(ctx context.Context, wake func()) error {
	pooled, err := s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	conn := pooled.Hijack() // a connection that listened is not for others
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(closing) // the server ends the session in any case
	}()
	ctx, cancel := context.WithTimeout(ctx, listenFor)
	defer cancel()
	var channel string
	if err := conn.QueryRow(ctx, "select channel from audit.coordination").Scan(&channel); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, "listen "+pgx.Identifier{channel}.Sanitize()); err != nil {
		return err
	}
	for {
		wake() // also after LISTEN: what was stored before was not heard
		if _, err := conn.WaitForNotification(ctx); err != nil {
			return err
		}
	}
}
