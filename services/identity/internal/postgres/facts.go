package postgres

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/client/audit"
	"github.com/gatehouse/gatehouse/internal/client/authz"
	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/internal/relation"
	"github.com/gatehouse/gatehouse/services/identity/internal/fact"
)

// tell appends a fact, and returns the token of its relationships.
func tell(ctx context.Context, tx pgx.Tx, out *outbox.Outbox, f fact.Fact) (token string, err error) {
	if err := audit.Record(ctx, out, tx, f.Event); err != nil || f.Relationships.IsZero() {
		return "", err
	}
	return authz.Relate(ctx, out, tx, f.Event, f.Object(), f.Relationships)
}

// tellAll appends the facts of one request about objects of an organization, each of which only
// adds relationships, and returns the tokens of these. The relationships of many facts travel in
// one change: Authz takes one change after the other, so a sign-up would wait for every user of an
// import that came before it.
func tellAll(ctx context.Context, tx pgx.Tx, out *outbox.Outbox, organizationID string, facts []fact.Fact) (tokens []string, err error) {
	var messages []outbox.Message
	for _, f := range facts {
		recorded, err := audit.Seal(out, f.Event)
		if err != nil {
			return nil, err
		}
		messages = append(messages, recorded)
	}
	for len(facts) > 0 {
		together, change := fitting(facts)
		related, token, err := authz.Message(out, facts[0].Event, relation.Organization(organizationID), change)
		if err != nil {
			return nil, err
		}
		messages, tokens = append(messages, related), append(tokens, slices.Repeat([]string{token}, together)...)
		facts = facts[together:]
	}
	return tokens, out.Append(ctx, tx, messages...)
}

// fitting returns how many of the facts fit into one change, one at least, and that change.
func fitting(facts []fact.Fact) (n int, c relation.Change) {
	for _, f := range facts {
		if n > 0 && len(c.Writes)+len(f.Relationships.Writes) > relation.MaxTuples {
			break
		}
		c.Writes = append(c.Writes, f.Relationships.Writes...)
		n++
	}
	return n, c
}
