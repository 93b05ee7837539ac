package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/client/audit"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/services/auth/internal/factor"
)

const signInPolicy = `
	select organization_id::text, second_factor_required, update_time from auth.sign_in_policies where organization_id = @organization_id`

// Policy implements factor.Store.
func (s *Factors) Policy(ctx context.Context, organizationID string) (factor.Policy, error) {
	p, err := one[factor.Policy](ctx, s.pool, signInPolicy, pgx.StrictNamedArgs{"organization_id": organizationID})
	if errors.Is(err, pgx.ErrNoRows) {
		return factor.Policy{OrganizationID: organizationID}, nil
	}
	return p, factorError("read sign-in policy", err)
}

// SetPolicy implements factor.Store.
func (s *Factors) SetPolicy(ctx context.Context, p factor.Policy, e event.Event) error {
	return factorError("set sign-in policy", s.outbox.InTx(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			insert into auth.sign_in_policies (organization_id, second_factor_required, update_time) values (@organization_id, @required, @now)
			on conflict (organization_id) do update set second_factor_required = excluded.second_factor_required, update_time = excluded.update_time`,
			pgx.StrictNamedArgs{"organization_id": p.OrganizationID, "required": p.SecondFactorRequired, "now": p.UpdateTime})
		if err != nil {
			return err
		}
		return audit.Record(ctx, s.outbox, tx, e)
	}))
}
