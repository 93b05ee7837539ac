package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/services/auth/internal/proof"
)

// Take uses a code up in a transaction of its own.
func (s *MailedCodes) Take(ctx context.Context, code proof.Hash, now time.Time, purposes ...proof.Purpose) (p proof.Pending, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		p, err = takeMailedCode(ctx, tx, code, now, purposes...)
		return err
	})
	return p, err
}

// Forget makes codes worthless in a transaction of its own.
func (s *MailedCodes) Forget(ctx context.Context, userID string, purposes ...proof.Purpose) error {
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return forgetMailedCodes(ctx, tx, userID, purposes...) })
}
