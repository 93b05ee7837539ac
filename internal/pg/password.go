package pg

import (
	"context"
	"sync/atomic"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/config"
)

// passwords follow the file of a URL while the password of the role is changed. A server takes one
// password at a time, and the file changes a little before it or after it: what worked last goes on
// to be used until the file's other one works.
type passwords struct {
	url  config.Secret
	last atomic.Pointer[string]
}

// follow makes a pool's connections follow the file of their URL.
func follow(url config.Secret, first string) *passwords {
	p := &passwords{url: url}
	p.last.Store(&first)
	return p
}

// choose sets the password of a connection that is about to be made: pgxpool's BeforeConnect. Only
// the password is taken from the file. What is wrong with that is said when it matters: when the
// last password is refused, too.
func (p *passwords) choose(ctx context.Context, c *pgx.ConnConfig) error {
	last := *p.last.Load()
	c.Password = last
	now, err := p.url.Again()
	if err != nil {
		return nil //nolint:nilerr // a file that is being written
	}
	parsed, err := Config{URL: now}.parse()
	if err != nil || parsed.ConnConfig.Password == last {
		return nil //nolint:nilerr // likewise
	}
	c.Password = parsed.ConnConfig.Password
	conn, err := pgx.ConnectConfig(ctx, c.Copy())
	if err == nil {
		p.last.Store(&parsed.ConnConfig.Password)
		_ = conn.Close(ctx) // it has answered the question
		return nil
	}
	if sqlState(err) == invalidPassword {
		c.Password = last
	}
	return nil
}
