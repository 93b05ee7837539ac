package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/client/audit"
	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/services/auth/internal/signingkey"
)

// SigningKeys implements signingkey.Store.
type SigningKeys struct {
	pool      *pgxpool.Pool
	outbox    *outbox.Outbox
	purpose   signingkey.Purpose
	algorithm string // of its keys; empty for any
	table     string
}

// NewSigningKeys returns the store of the keys of access tokens.
func NewSigningKeys(pool *pgxpool.Pool, o *outbox.Outbox) *SigningKeys {
	return &SigningKeys{pool: pool, outbox: o, purpose: signingkey.ForAccess, table: "auth.signing_keys"}
}

// NewIDTokenKeys returns the store of the keys of ID tokens that have the algorithm.
func NewIDTokenKeys(pool *pgxpool.Pool, o *outbox.Outbox, algorithm string) *SigningKeys {
	return &SigningKeys{pool: pool, outbox: o, purpose: signingkey.ForID, algorithm: algorithm, table: "auth.id_token_keys"}
}

// sql is a statement with the store's table for "keys".
func (s *SigningKeys) sql(statement string) string {
	return strings.Replace(statement, "@keys", s.table, 1)
}

type signingKeyRow struct {
	ID         string
	Algorithm  string
	State      string
	PublicKey  []byte
	SealedKey  []byte
	CreateTime time.Time
	StateTime  time.Time
}

// List implements signingkey.Store.
func (s *SigningKeys) List(ctx context.Context) ([]signingkey.Key, error) {
	keys, err := s.list(ctx, s.pool)
	if err != nil {
		return nil, pg.Error(fmt.Errorf("list signing keys: %w", err))
	}
	return keys, nil
}

func (s *SigningKeys) list(ctx context.Context, db database) ([]signingkey.Key, error) {
	rows, err := all[signingKeyRow](ctx, db, s.sql(`
		select id, algorithm, state, public_key, sealed_key, create_time, state_time from @keys
		where @algorithm = '' or algorithm = @algorithm order by create_time, id`), pgx.StrictNamedArgs{"algorithm": s.algorithm})
	keys := make([]signingkey.Key, len(rows))
	for i, r := range rows {
		keys[i] = signingkey.Key{
			ID: r.ID, Purpose: s.purpose, Algorithm: r.Algorithm, State: signingkey.State(r.State), Public: r.PublicKey, Sealed: r.SealedKey,
			CreateTime: r.CreateTime, StateTime: r.StateTime,
		}
	}
	return keys, err
}

// Change implements signingkey.Store. The table lock admits readers and shuts out other changes.
func (s *SigningKeys) Change(ctx context.Context, plan func([]signingkey.Key) (signingkey.Plan, error)) ([]signingkey.Key, error) {
	var planned signingkey.Plan
	var refused error
	err := s.outbox.InTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, s.sql(`lock table @keys in share row exclusive mode`)); err != nil {
			return err
		}
		stored, err := s.list(ctx, tx)
		if err != nil {
			return err
		}
		if planned, refused = plan(stored); refused != nil {
			return refused
		}
		if len(planned.Events) == 0 && !slices.EqualFunc(stored, planned.Keys, alike) { // R68
			return errors.New("the plan changes keys and has no event of that")
		}
		if err := s.storeAll(ctx, tx, stored, planned.Keys); err != nil {
			return err
		}
		for _, e := range planned.Events {
			if err := audit.Record(ctx, s.outbox, tx, e); err != nil {
				return err
			}
		}
		return nil
	})
	if refused != nil {
		return nil, refused
	}
	if err != nil {
		return nil, fmt.Errorf("change signing keys: %w", err)
	}
	return planned.Keys, nil
}

// alike reports whether two are one key in one state under one seal, which is what is recorded of
// keys.
func alike(a, b signingkey.Key) bool {
	return a.ID == b.ID && a.State == b.State && bytes.Equal(a.Sealed, b.Sealed)
}

// storeAll writes the difference: removals first, then the key that stops signing, then the one
// that starts, as at most one may be active at any moment.
func (s *SigningKeys) storeAll(ctx context.Context, tx pgx.Tx, stored, planned []signingkey.Key) error {
	for _, k := range stored {
		if indexOf(planned, k.ID) >= 0 {
			continue
		}
		if _, err := tx.Exec(ctx, s.sql(`delete from @keys where id = @id`), pgx.StrictNamedArgs{"id": k.ID}); err != nil {
			return err
		}
	}
	for _, state := range []signingkey.State{signingkey.Retired, signingkey.Active, signingkey.Next} {
		for _, k := range planned {
			if k.State != state {
				continue
			}
			if err := s.storeOne(ctx, tx, k); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *SigningKeys) storeOne(ctx context.Context, tx pgx.Tx, k signingkey.Key) error {
	_, err := tx.Exec(ctx, s.sql(`
		insert into @keys (id, algorithm, state, public_key, sealed_key, create_time, state_time)
		values (@id, @algorithm, @state, @public_key, @sealed_key, @create_time, @state_time)
		on conflict (id) do update set state = excluded.state, state_time = excluded.state_time, sealed_key = excluded.sealed_key`),
		pgx.StrictNamedArgs{
			"id": k.ID, "algorithm": k.Algorithm, "state": string(k.State), "public_key": k.Public, "sealed_key": k.Sealed,
			"create_time": k.CreateTime, "state_time": k.StateTime,
		})
	return err
}

func indexOf(keys []signingkey.Key, id string) int {
	return slices.IndexFunc(keys, func(k signingkey.Key) bool { return k.ID == id })
}
