package fga

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	openfgav1 "github.com/openfga/api/proto/openfga/v1"
	"github.com/openfga/openfga/pkg/server"
	"github.com/openfga/openfga/pkg/storage"

	"github.com/gatehouse/gatehouse/internal/relation"
)

// What tests see of an engine.

// Translate is translate.
func Translate(ctx context.Context, err error) error { return translate(ctx, err) }

// Pool returns the engine's pool.
func (e *Engine) Pool() *pgxpool.Pool { return e.pool }

// Store returns the id of the store.
func (e *Engine) Store() string { return e.current.Load().store }

// Query returns what Read sends for a page.
func (e *Engine) Query(f Filter, token string, limit int) (string, map[string]any, error) {
	after, err := parsePageToken(token, f)
	if err != nil {
		return "", nil, err
	}
	sql, args := f.query(e.Store(), after, limit)
	return sql, args, nil
}

// SelectAllOf is the statement of TuplesOf.
const SelectAllOf = selectAllOf

// SelectAhead is the statement of a check, and its arguments.
func (e *Engine) SelectAhead(subject, objectType, objectID string) (string, map[string]any) {
	return selectAhead, e.aheadArgs(e.Store(), subject, objectType, objectID)
}

// ParsedModel returns the model as OpenFGA has it.
func (e *Engine) ParsedModel() *openfgav1.AuthorizationModel { return e.rules.model }

// Default is OpenFGA's default algorithm over the same store and model.
type Default struct {
	at     *loaded
	server *server.Server
}

// OpenDefault starts the default algorithm over the engine's database.
func OpenDefault(t testing.TB, e *Engine) *Default {
	t.Helper()
	ds, err := newDatastore(e.pool)
	if err != nil {
		t.Fatal(err)
	}
	s, err := newServer(ds)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return &Default{at: e.current.Load(), server: s}
}

// Check asks the default algorithm.
func (d *Default) Check(ctx context.Context, subject string, q Question) (bool, error) {
	return (&loaded{server: d.server, store: d.at.store, model: d.at.model}).check(ctx, subject, q)
}

// Weighted asks the weighted algorithm without the refusal of sets of subjects.
func (e *Engine) Weighted(ctx context.Context, subject string, q Question) (bool, error) {
	return e.current.Load().check(ctx, subject, q)
}

// WriteUnchecked writes without our own look at the model.
func (e *Engine) WriteUnchecked(ctx context.Context, t relation.Tuple) error {
	at := e.current.Load()
	_, err := at.server.Write(ctx, &openfgav1.WriteRequest{StoreId: at.store, AuthorizationModelId: at.model, Writes: &openfgav1.WriteRequestWrites{
		TupleKeys: []*openfgav1.TupleKey{{Object: t.Object, Relation: t.Relation, User: t.Subject}}, OnDuplicate: "ignore",
	}})
	return err
}

// Iterator returns OpenFGA's iterator over all relationships of a type, as its algorithms get it.
func (e *Engine) Iterator(ctx context.Context, objectType string) (storage.TupleIterator, error) {
	ds, err := newDatastore(e.pool)
	if err != nil {
		return nil, err
	}
	return ds.Read(ctx, e.Store(), storage.ReadFilter{Object: objectType + ":"}, storage.ReadOptions{})
}

// Opaque is opaque.
func Opaque(ctx context.Context, err error) error { return opaque(ctx, err) }
