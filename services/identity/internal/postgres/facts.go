package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/client/audit"
	"github.com/gatehouse/gatehouse/internal/client/authz"
	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/services/identity/internal/fact"
)

// tell appends a fact, and returns the token of its relationships.
func tell(ctx context.Context, tx pgx.Tx, out *outbox.Outbox, f fact.Fact) (token string, err error) {
	if err := audit.Record(ctx, out, tx, f.Event); err != nil || f.Relationships.IsZero() {
		return "", err
	}
	return authz.Relate(ctx, out, tx, f.Event, f.Object(), f.Relationships)
}

// tellAll appends the facts, each with relationships, and returns the tokens of these.
func tellAll(ctx context.Context, tx pgx.Tx, out *outbox.Outbox, facts []fact.Fact) (tokens []string, err error) {
	var messages []outbox.Message
	for _, f := range facts {
		recorded, err := audit.Seal(out, f.Event)
		if err != nil {
			return nil, err
		}
		related, token, err := authz.Message(out, f.Event, f.Object(), f.Relationships)
		if err != nil {
			return nil, err
		}
		messages, tokens = append(messages, recorded, related), append(tokens, token)
	}
	return tokens, out.Append(ctx, tx, messages...)
}
