package fga_test

import (
	"log/slog"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	"github.com/gatehouse/gatehouse/services/authz/internal/fga"
	"github.com/gatehouse/gatehouse/services/authz/internal/fga/fgatest"
)

const (
	countStores  = "select count(*) from authz_fga.store"
	countModels  = "select count(*) from authz_fga.authorization_model"
	countInvalid = `select count(*) from pg_index i join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace
		where n.nspname = 'authz_fga' and not i.indisvalid`
)

// Processes that start at the same time migrate one after the other and write one store with one model.
func TestManyMayMigrateAtTheSameTime(t *testing.T) {
	t.Parallel()
	c := pgtest.Config(t, "authz", nil)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if err := fga.Migrate(t.Context(), c, slog.New(slog.DiscardHandler)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if stores, models, invalid := pgtest.Count(t, c, countStores), pgtest.Count(t, c, countModels), pgtest.Count(t, c, countInvalid); stores != 1 || models != 1 || invalid != 0 {
		t.Errorf("%d stores, %d models, %d invalid indexes", stores, models, invalid)
	}
}

// A program with another model adds it beside the one that is in use, and each program finds its own over the same relationships.
func TestAnotherModelIsAddedBesideTheOld(t *testing.T) {
	t.Parallel()
	c := fgatest.Config(t)
	older := fgatest.Open(t, c)
	fgatest.Write(t, older, "group:g#member@user:u")
	pgtest.Exec(t, c, `update authz_fga.authorization_model set authorization_model_id = '01HVMMBCMGZNT3SED4Z17ECXCA',
		serialized_protobuf = decode(replace(encode(serialized_protobuf, 'hex'), encode('can_list_users', 'hex'), encode('can_lost_users', 'hex')), 'hex')`)
	if err := fga.Migrate(t.Context(), c, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if stores, models := pgtest.Count(t, c, countStores), pgtest.Count(t, c, countModels); stores != 1 || models != 2 {
		t.Errorf("%d stores, %d models", stores, models)
	}
	newer := fgatest.Open(t, c)
	if newer.Model().ID == "01HVMMBCMGZNT3SED4Z17ECXCA" || newer.Model().ID == "" {
		t.Errorf("model %q", newer.Model().ID)
	}
	got, err := newer.Check(t.Context(), "user:u", []fga.Question{{Relation: "member", Object: "group:g"}})
	if err != nil || !got[0] {
		t.Errorf("%v, %v", got, err)
	}
}

// A kill inside OpenFGA's last migration leaves an index that PostgreSQL maintains and never uses, and that the migration then skips.
func TestAnInvalidIndexIsMended(t *testing.T) {
	t.Parallel()
	c := fgatest.Config(t)
	pgtest.Exec(t, c, "drop index authz_fga.idx_user_lookup", "delete from authz_fga.goose_db_version where version_id = 6")
	holder, err := pgx.Connect(t.Context(), c.URL.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = holder.Close(t.Context()) }()
	tx, err := holder.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "lock table authz_fga.tuple in row exclusive mode"); err != nil {
		t.Fatal(err)
	}
	killed, err := pgx.Connect(t.Context(), c.URL.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = killed.Close(t.Context()) }()
	if _, err := killed.Exec(t.Context(), "set statement_timeout = 300"); err != nil {
		t.Fatal(err)
	}
	_, err = killed.Exec(t.Context(), `create index concurrently idx_user_lookup on authz_fga.tuple (store, _user, relation, object_type, object_id collate "C")`)
	if err == nil {
		t.Fatal("the index was made in spite of the lock")
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if invalid := pgtest.Count(t, c, countInvalid); invalid != 1 {
		t.Fatalf("%d invalid indexes before", invalid)
	}
	if err := fga.Migrate(t.Context(), c, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if invalid := pgtest.Count(t, c, countInvalid); invalid != 0 {
		t.Errorf("%d invalid indexes after", invalid)
	}
	if valid := pgtest.Count(t, c, "select count(*) from pg_indexes where indexname = 'idx_user_lookup'"); valid != 1 {
		t.Errorf("%d indexes idx_user_lookup", valid)
	}
}
