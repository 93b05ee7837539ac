package postgrestest

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/services/authz/internal/relationship"
)

// Step is a point of a write between two effects, at which a test stops the process or looks at the
// database.
type Step string

// The steps, in their order.
const (
	Received Step = "received" // nothing is stored
	Locked   Step = "locked"   // inside the first transaction, the preconditions hold
	Accepted Step = "accepted" // the first transaction is committed
	Part     Step = "part"     // the engine has a part of a deletion that is larger than one of its transactions
	Written  Step = "written"  // the engine has it all
	Marked   Step = "marked"   // inside the second transaction, all but the commit is done
	Applied  Step = "applied"  // the second transaction is committed
	Answered Step = "answered" // the position for the token is known
)

// store calls step around what the domain asks of the command log.
type store struct {
	relationship.Store

	step func(Step)
}

// Accept implements relationship.Store.
func (s store) Accept(ctx context.Context, objects []string, c relationship.Command,
	decide func(context.Context, relationship.Command, relationship.Departs) (relationship.Command, error),
) (relationship.Outcome, error) {
	s.step(Received)
	outcome, err := s.Store.Accept(ctx, objects, c,
		func(ctx context.Context, c relationship.Command, departs relationship.Departs) (relationship.Command, error) {
			decided, err := decide(ctx, c, departs)
			if err == nil {
				s.step(Locked)
			}
			return decided, err
		})
	if outcome.Accepted {
		s.step(Accepted)
	}
	return outcome, err
}

// Renew implements relationship.Store.
func (s store) Renew(ctx context.Context, c relationship.Command) (bool, error) {
	s.step(Part)
	return s.Store.Renew(ctx, c)
}

// Finish implements relationship.Store.
func (s store) Finish(ctx context.Context, c relationship.Command, state relationship.State) (bool, error) {
	if state == relationship.Applied {
		s.step(Written)
	}
	ended, err := s.Store.Finish(ctx, c, state)
	if ended && state == relationship.Applied {
		s.step(Applied)
	}
	return ended, err
}

// engine calls step when the domain has what it needs to answer a write.
type engine struct {
	relationship.Engine

	step func(Step)
}

// Position implements relationship.Engine.
func (e engine) Position(ctx context.Context) (request.Position, error) {
	p, err := e.Engine.Position(ctx)
	if err == nil {
		e.step(Answered)
	}
	return p, err
}

// lastOfFinish begins the last statement of the second transaction.
const lastOfFinish = "delete from authz.object_locks"

// marked is a tracer of the command log's connections that calls step after the last statement of
// the second transaction, where no interface of the domain is passed.
type marked struct{ step func(Step) }

type statementKey struct{}

// TraceQueryStart implements pgx.QueryTracer.
func (marked) TraceQueryStart(ctx context.Context, _ *pgx.Conn, q pgx.TraceQueryStartData) context.Context {
	return context.WithValue(ctx, statementKey{}, q.SQL)
}

// TraceQueryEnd implements pgx.QueryTracer.
func (m marked) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, q pgx.TraceQueryEndData) {
	if sql, _ := ctx.Value(statementKey{}).(string); q.Err == nil && strings.HasPrefix(sql, lastOfFinish) {
		m.step(Marked)
	}
}

func (m marked) tune(c *pgxpool.Config) { c.ConnConfig.Tracer = m }
