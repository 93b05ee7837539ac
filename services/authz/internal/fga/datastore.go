package fga

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	openfgav1 "github.com/openfga/api/proto/openfga/v1"
	"github.com/openfga/openfga/pkg/storage"
	"github.com/openfga/openfga/pkg/storage/postgres"
	"github.com/openfga/openfga/pkg/storage/sqlcommon"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

// readTimeout bounds the read of one tuple whose database falls silent. A database that lives ends the statement before.
const readTimeout = statementTimeout + 2*time.Second

// datastore is OpenFGA's store over a pool that belongs to the Engine.
//
// No error of its reads is a context error unless the caller is gone: OpenFGA takes those for the end of the caller's time and answers
// a list with what it has so far, as if that were all. (The driver's "could not connect in time" is one.)
type datastore struct{ storage.OpenFGADatastore }

func newDatastore(pool *pgxpool.Pool) (storage.OpenFGADatastore, error) {
	ds, err := postgres.NewWithDB(pool, nil, sqlcommon.NewConfig(
		sqlcommon.WithMaxTuplesPerWrite(maxTuples),
		sqlcommon.WithPingTimeout(time.Second),
		sqlcommon.WithPingRetryMaxElapsedTime(time.Nanosecond), // zero would be: for ever
	))
	if err != nil {
		return nil, fmt.Errorf("open OpenFGA's store: %w", err)
	}
	return datastore{ds}, nil
}

// Close does nothing: OpenFGA would close the pool.
func (datastore) Close() {}

// Read implements storage.RelationshipTupleReader.
func (d datastore) Read(ctx context.Context, store string, filter storage.ReadFilter, options storage.ReadOptions) (storage.TupleIterator, error) {
	if a, ok := aheadOf(ctx, filter.Object, filter.Conditions); ok && a.points(filter.Relation) && (filter.User == "" || strings.HasSuffix(filter.User, ":")) {
		return a.pointed(filter), nil
	}
	found, err := d.OpenFGADatastore.Read(ctx, store, filter, options)
	return guarded(ctx, found, err)
}

// ReadUserTuple implements storage.RelationshipTupleReader.
func (d datastore) ReadUserTuple(ctx context.Context, store string, filter storage.ReadUserTupleFilter, options storage.ReadUserTupleOptions) (*openfgav1.Tuple, error) {
	if a, ok := aheadOf(ctx, filter.Object, filter.Conditions); ok && filter.User == a.subject {
		return a.tuple(filter)
	}
	bounded, cancel := context.WithTimeout(ctx, readTimeout) // OpenFGA has taken the caller's deadline away
	defer cancel()
	found, err := d.OpenFGADatastore.ReadUserTuple(bounded, store, filter, options)
	return found, opaque(ctx, err)
}

// ReadUsersetTuples implements storage.RelationshipTupleReader.
func (d datastore) ReadUsersetTuples(ctx context.Context, store string, filter storage.ReadUsersetTuplesFilter, options storage.ReadUsersetTuplesOptions) (storage.TupleIterator, error) {
	if a, ok := aheadOf(ctx, filter.Object, filter.Conditions); ok {
		return a.sets(filter), nil
	}
	found, err := d.OpenFGADatastore.ReadUsersetTuples(ctx, store, filter, options)
	return guarded(ctx, found, err)
}

// ReadStartingWithUser implements storage.RelationshipTupleReader.
func (d datastore) ReadStartingWithUser(ctx context.Context, store string, filter storage.ReadStartingWithUserFilter, options storage.ReadStartingWithUserOptions) (storage.TupleIterator, error) {
	if a, ok := ctx.Value(aheadKey{}).(*ahead); ok && !options.WithResultsSortedAscending {
		if found, ok := a.started(filter); ok {
			return found, nil
		}
	}
	found, err := d.OpenFGADatastore.ReadStartingWithUser(ctx, store, filter, options)
	return guarded(ctx, found, err)
}

// iterator takes no connection after it was stopped. OpenFGA stops an iterator while another goroutine may still ask it for a row: a
// query that began after the stop would keep its connection for ever.
type iterator struct {
	storage.TupleIterator

	mu      sync.Mutex // held during each call: a stop waits for the row that is being read
	stopped bool
}

func guarded(ctx context.Context, found storage.TupleIterator, err error) (storage.TupleIterator, error) {
	if err != nil {
		return nil, opaque(ctx, err)
	}
	return &iterator{TupleIterator: found}, nil
}

// Next implements storage.TupleIterator.
func (i *iterator) Next(ctx context.Context) (*openfgav1.Tuple, error) {
	return i.read(ctx, i.TupleIterator.Next)
}

// Head implements storage.TupleIterator.
func (i *iterator) Head(ctx context.Context) (*openfgav1.Tuple, error) {
	return i.read(ctx, i.TupleIterator.Head)
}

func (i *iterator) read(ctx context.Context, fn func(ctx context.Context) (*openfgav1.Tuple, error)) (*openfgav1.Tuple, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.stopped {
		return nil, storage.ErrIteratorDone
	}
	row, err := fn(ctx)
	return row, opaque(ctx, err)
}

// Stop implements storage.TupleIterator.
func (i *iterator) Stop() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.stopped = true
	i.TupleIterator.Stop()
}

// opaque keeps OpenFGA from taking a database that does not answer for a caller who does not wait.
func opaque(ctx context.Context, err error) error {
	if ctx.Err() == nil && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)) {
		return apierr.DatabaseUnavailable().
			WithRetryAfter(time.Second).Because(errors.New(err.Error())) // without its identity
	}
	return err
}
