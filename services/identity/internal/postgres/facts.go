package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/client/audit"
	"github.com/gatehouse/gatehouse/internal/client/authz"
	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/services/identity/internal/fact"
)

// tell appends facts in their order, and returns the token of the relationships of the last one that has some.
func tell(ctx context.Context, tx pgx.Tx, out *outbox.Outbox, facts ...fact.Fact) (token string, err error) {
	for _, f := range facts {
		if err := audit.Record(ctx, out, tx, f.Event); err != nil {
			return "", err
		}
		if f.Relationships.IsZero() {
			continue
		}
		if token, err = authz.Relate(ctx, out, tx, f.Event, f.Object(), f.Relationships); err != nil {
			return "", err
		}
	}
	return token, nil
}
