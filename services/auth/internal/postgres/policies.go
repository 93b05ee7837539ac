package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/client/audit"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/services/auth/internal/factor"
)

const signInPolicy = `
	select organization_id::text, second_factor_required, update_time from auth.sign_in_policies where organization_id = @organization_id`

// lacksFactor is that the organization of a login (l) requires a second factor and the login has
// none: no session of it goes on.
const lacksFactor = `not l.second_factor and exists (
	        select from auth.sign_in_policies p where p.organization_id = l.organization_id and p.second_factor_required)`

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

const claimPolicies = `
	update auth.sign_in_policies set look_time = @next
	where organization_id in (
	    select organization_id from auth.sign_in_policies where look_time <= @now
	    order by look_time limit @limit for update skip locked)
	returning organization_id::text, second_factor_required, update_time`

// ClaimPolicies implements factor.Store.
func (s *Factors) ClaimPolicies(ctx context.Context, now, next time.Time, limit int) ([]factor.Policy, error) {
	claimed, err := all[factor.Policy](ctx, s.pool, claimPolicies, pgx.StrictNamedArgs{"now": now, "next": next, "limit": limit})
	if err != nil {
		return nil, pg.Error(fmt.Errorf("claim sign-in policies: %w", err))
	}
	return claimed, nil
}

const dropPolicy = `delete from auth.sign_in_policies where organization_id = @organization_id and update_time = @update_time`

// DropPolicy implements factor.Store.
func (s *Factors) DropPolicy(ctx context.Context, p factor.Policy) error {
	_, err := s.pool.Exec(ctx, dropPolicy, pgx.StrictNamedArgs{"organization_id": p.OrganizationID, "update_time": p.UpdateTime})
	if err != nil {
		return pg.Error(fmt.Errorf("drop sign-in policy: %w", err))
	}
	return nil
}
