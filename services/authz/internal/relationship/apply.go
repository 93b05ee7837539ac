package relationship

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/relation"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1/reason"
)

// poll is how often a wait for other instances' commands looks again; those of this instance wake it.
const poll = 20 * time.Millisecond

// apply brings an accepted command to its end. It goes on when the request that it belongs to has ended, because others wait for its
// locks; when it fails, whoever comes next takes the command over.
func (s *Service) apply(ctx context.Context, c Command) error {
	ctx = context.WithoutCancel(ctx)
	whole := true // nothing of it is written yet
	for ; len(c.Writes)+len(c.Deletes) > MaxTuples; whole = false {
		if whole {
			if err := s.admitted(c); err != nil {
				return s.refuse(ctx, c, err)
			}
		}
		stillOurs, err := s.part(ctx, &c)
		if err != nil || !stillOurs {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, ApplyTimeout)
	defer cancel()
	if err := s.write(ctx, c.ID, c.Writes, c.Deletes); err != nil {
		if whole && isInvalid(err) {
			return s.refuse(ctx, c, err)
		}
		return s.unlessEnded(ctx, c.ID, err)
	}
	ended, err := s.finish(ctx, c, Applied)
	if err != nil {
		return err
	}
	if !ended {
		return s.complete(ctx, c.ID)
	}
	return nil
}

// part takes one transaction's worth of deletions from a command that is larger than one, and gives the command its lease anew: however
// much a deletion of all met, it comes to its end. Deletions go first, so that nobody ever has more than before and after. False means
// that somebody else took the command over and has ended it.
func (s *Service) part(ctx context.Context, c *Command) (stillOurs bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, ApplyTimeout)
	defer cancel()
	n := min(len(c.Deletes), MaxTuples)
	if err := s.write(ctx, c.ID, nil, c.Deletes[:n]); err != nil {
		return false, s.unlessEnded(ctx, c.ID, err)
	}
	c.Deletes = c.Deletes[n:]
	renewed, err := s.store.Renew(ctx, *c)
	if err != nil {
		return false, fmt.Errorf("renew the lease of a command: %w", err)
	}
	if !renewed {
		return false, s.complete(ctx, c.ID)
	}
	return true, nil
}

// admitted asks before the first of several parts what the engine asks about each of its writes.
func (s *Service) admitted(c Command) error {
	for _, t := range c.Writes {
		if err := s.engine.Validate(t); err != nil {
			return err
		}
	}
	return nil
}

// refuse ends a command that the engine will never take, and of which nothing is written: its objects must not stay locked.
func (s *Service) refuse(ctx context.Context, c Command, why error) error {
	ctx, cancel := context.WithTimeout(ctx, ApplyTimeout)
	defer cancel()
	if _, err := s.finish(ctx, c, Refused); err != nil {
		return err
	}
	return why
}

// unlessEnded returns the error of a write, or how the command ended when somebody else ended it meanwhile: then the fence has kept the
// write out.
func (s *Service) unlessEnded(ctx context.Context, id string, err error) error {
	states, unknown := s.store.States(ctx, []string{id})
	if unknown != nil || states[id] == Accepted {
		return err
	}
	return s.complete(ctx, id)
}

func (s *Service) finish(ctx context.Context, c Command, state State) (bool, error) {
	ended, err := s.store.Finish(ctx, c, state)
	if err != nil {
		return false, fmt.Errorf("end the command: %w", err)
	}
	if ended {
		s.waiters.settle(c.ID, state)
	}
	return ended, nil
}

// write hands relationships of a command to the engine, in one transaction.
func (s *Service) write(ctx context.Context, id string, writes, deletes []relation.Tuple) error {
	if len(writes)+len(deletes) == 0 {
		return nil
	}
	if err := s.engine.Write(WithCommand(ctx, id), writes, deletes); err != nil {
		return fmt.Errorf("write relationships: %w", err)
	}
	return nil
}

// help waits until all these commands have ended, and applies those whose lease has run out. It returns how they ended.
func (s *Service) help(ctx context.Context, ids []string) (map[string]State, error) {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for len(ids) > 0 {
		changed := s.waiters.changes()
		states, err := s.store.States(ctx, ids)
		if err != nil {
			return nil, fmt.Errorf("wait for another change: %w", err)
		}
		pending := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return states[id] != Accepted })
		if len(pending) == 0 {
			return states, nil
		}
		c, claimed, err := s.store.Claim(ctx, pending)
		if err != nil {
			return nil, fmt.Errorf("take over another change: %w", err)
		}
		if claimed {
			if err := s.apply(ctx, c); err != nil && !isInvalid(err) {
				return nil, err
			}
			continue
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for another change: %w", ctx.Err())
		case <-changed:
		case <-tick.C:
		}
	}
	return nil, nil // nothing to wait for is not an error
}

// complete waits until a command that was accepted before has ended, and says so when it was refused.
func (s *Service) complete(ctx context.Context, id string) error {
	states, err := s.help(ctx, []string{id})
	if err != nil {
		return err
	}
	if states[id] == Refused {
		return reason.ChangeRefused()
	}
	return nil
}

// CompleteAbandoned applies the commands whose lease has run out, because their instance died or was stopped, and returns how many.
func (s *Service) CompleteAbandoned(ctx context.Context) (int, error) {
	for n := 0; ; n++ {
		c, claimed, err := s.store.Claim(ctx, nil)
		if err != nil || !claimed {
			return n, err
		}
		if err := s.apply(ctx, c); err != nil {
			return n, err
		}
	}
}

func isInvalid(err error) bool {
	var e *apierr.Error
	return errors.As(err, &e) && e.Kind == apierr.InvalidArgument
}

type commandKey struct{}

// WithCommand says for which command the engine writes.
func WithCommand(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, commandKey{}, id)
}

// CommandOf returns the command for which the engine writes, "" outside of a write: the fence of its connections asks.
func CommandOf(ctx context.Context) string {
	id, _ := ctx.Value(commandKey{}).(string)
	return id
}
