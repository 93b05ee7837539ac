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

// Patient gives attempts and queries as much time as a test has, however slow the machine is.
func (c *Courier) Patient() *Courier {
	c.within, c.query = time.Hour, time.Hour
	return c
}

// Write is the desk's writer.
func (d *Desk) Write(kind Kind, to, accept string, at time.Time) (Letter, error) {
	return d.writer.write(kind, to, accept, values{Email: to, Former: "former@example.com", Time: at, Until: at.Add(10 * time.Minute), Link: d.writer.link("/path?code=c0de")})
}

// Nobody is a mail like those that are told, to an address that nobody has.
func (d *Desk) Nobody(ctx context.Context, to string) *Queued {
	return d.write(ctx, draft{kind: VerifyEmail, to: to, path: verifyPath, code: "c0de", lasts: time.Hour, nobody: true})
}
