package relationship

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1/reason"
)

// Times of a write. Leases outlive one attempt, so that a command has one applier unless that died or was stopped.
const (
	ApplyTimeout = 4 * time.Second     // of one attempt at applying a command, or a part of a large one
	Lease        = 5 * time.Second     // after which others take an accepted command over
	answerTime   = time.Second         // of asking for the position after a write
	KeepCommands = 30 * 24 * time.Hour // how long the id of a change is remembered
	forgetBatch  = 500
)

// Params are what a Service is made of; all are required.
type Params struct {
	Store  Store
	Engine Engine
	Now    func() time.Time
	NewID  func() string // of events: UUIDv7
	Random io.Reader     // of the salts in events
}

// Service changes relationships and waits until the engine is fresh enough.
type Service struct {
	store   Store
	engine  Engine
	now     func() time.Time
	newID   func() string
	random  io.Reader
	waiters *waiters
}

// NewService returns the domain. Watch must run for tokens of events to be seen.
func NewService(p Params) *Service {
	return &Service{
		store: p.Store, engine: p.Engine, now: p.Now, newID: p.NewID, random: p.Random, waiters: newWaiters(p.Store, p.Now),
	}
}

// Write makes a change for a program, with the event of its request, and returns the consistency
// token with which a read reflects it. A change whose id is known has no further effect and is
// answered as the first was.
//
// Without an error the change is applied and its audit row is committed. With UNAVAILABLE it is unknown whether it will be: ask again.
func (s *Service) Write(ctx context.Context, program string, c Change, origin *Origin) (string, error) {
	c, err := normalise(s.engine, c)
	if err != nil {
		return "", err
	}
	return s.change(ctx, event.FromContext(ctx), program, c, origin)
}

// change makes a change that may be made as it is.
func (s *Service) change(ctx context.Context, e event.Event, program string, c Change, origin *Origin) (string, error) {
	command, err := s.command(e, program, c, origin)
	if err != nil {
		return "", err
	}
	outcome, command, err := s.accept(ctx, c, command)
	switch {
	case err != nil:
		return "", err
	case outcome.Known && !outcome.Same:
		return "", reason.ChangeIDTaken()
	case outcome.Known:
		err = s.complete(ctx, c.ID)
	default:
		err = s.apply(ctx, command)
	}
	if err != nil {
		return "", err
	}
	return s.answer(ctx)
}

// accept stores the command. Locks that others hold are waited for, and whoever died with them is helped.
func (s *Service) accept(ctx context.Context, c Change, command Command) (Outcome, Command, error) {
	locked := objects(c, nil)
	for {
		var grown moreObjects
		var complete Command
		outcome, err := s.store.Accept(ctx, locked, command, func(ctx context.Context, command Command, departs Departs) (Command, error) {
			var err error
			complete, err = s.decide(ctx, c, command, locked, departs)
			return complete, err
		})
		switch {
		case errors.As(err, &grown):
			locked = union(locked, grown.objects)
		case err != nil:
			return Outcome{}, Command{}, err
		case outcome.Accepted || outcome.Known:
			return outcome, complete, nil
		default:
			if _, err := s.help(ctx, outcome.Holders); err != nil {
				return Outcome{}, Command{}, err
			}
		}
	}
}

// decide runs under the locks: the preconditions, which relationships a deletion of all meets, and
// whether everybody who must stay does.
func (s *Service) decide(ctx context.Context, c Change, command Command, locked []string, departs Departs) (Command, error) {
	for _, p := range c.Preconditions {
		exists, err := s.engine.Exists(ctx, p.Tuple)
		if err != nil {
			return Command{}, fmt.Errorf("decide a precondition: %w", err)
		}
		if exists != p.Exists {
			return Command{}, reason.PreconditionFailed().Saying("a precondition does not hold: " + p.Tuple.String()).About(p.Tuple.String())
		}
	}
	if c.DeleteAllOf != "" {
		all, err := s.engine.TuplesOf(ctx, c.DeleteAllOf)
		if err != nil {
			return Command{}, fmt.Errorf("find the relationships of %s: %w", c.DeleteAllOf, err)
		}
		if met := objects(Change{}, all); !contains(locked, met) {
			return Command{}, moreObjects{objects: met}
		}
		command.Deletes = distinct(append(without(all, c.Writes), c.Deletes...))
	}
	// What a deletion of all meets is left out: that is a fact, for which Depart has asked before.
	if err := s.decided(ctx, &guard{engine: s.engine, departs: departs, gone: c.Deletes, come: c.Writes}, locked); err != nil {
		return Command{}, err
	}
	return command, nil
}

// moreObjects says that a decision rests on objects that are not locked yet.
type moreObjects struct{ objects []string }

// Error implements error.
func (m moreObjects) Error() string {
	return fmt.Sprintf("the decision rests on %d objects, which are not all locked", len(m.objects))
}

// answer makes the token of the state now, which includes every write that returned before.
func (s *Service) answer(ctx context.Context) (string, error) {
	asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerTime)
	defer cancel()
	p, err := s.engine.Position(asking)
	if err != nil {
		return "", err
	}
	token := request.TokenAt(p).String()
	request.Wrote(ctx, token)
	return token, nil
}

// Forget removes the oldest of the commands that ended longer ago than KeepCommands, and of the
// departures from before KeepDepartures.
func (s *Service) Forget(ctx context.Context) error {
	for {
		n, err := s.store.Forget(ctx, s.now().Add(-KeepCommands), forgetBatch)
		if err != nil {
			return err
		}
		departures, err := s.store.ForgetDepartures(ctx, s.now().Add(-KeepDepartures), forgetBatch)
		if err != nil || max(n, departures) < forgetBatch {
			return err
		}
	}
}
