package mail

import (
	"context"
	"time"
)

// Turn is one turn of Run.
func (c *Courier) Turn(ctx context.Context) error {
	_, err := c.turn(ctx)
	return err
}

// Hurry gives an attempt, and a stop, less time.
func (c *Courier) Hurry(within, grace time.Duration) { c.within, c.grace = within, grace }

// Write is the desk's writer.
func (d *Desk) Write(kind Kind, to, accept string, at time.Time) (Letter, error) {
	return d.writer.write(kind, to, accept, values{Email: to, Time: at, Link: d.writer.link("/account")})
}
