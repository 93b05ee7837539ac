package fga

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	openfgav1 "github.com/openfga/api/proto/openfga/v1"
	"github.com/openfga/openfga/pkg/storage"
	"github.com/openfga/openfga/pkg/storage/postgres"
	"github.com/openfga/openfga/pkg/storage/sqlcommon"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

// readTimeout bounds a read whose database falls silent. A database that lives ends the statement before.
const readTimeout = statementTimeout + 2*time.Second

// datastore is OpenFGA's store over a pool that belongs to the Engine.
//
// Its reads do not end with the caller's context. OpenFGA cancels the branches of a check that it needs no more, and with the driver a
// cancelled query costs its connection. And no error of a read is a context error: OpenFGA takes those for the end of the caller's
// time and answers a list with what it has so far, as if that were all.
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
	found, err := d.OpenFGADatastore.Read(context.WithoutCancel(ctx), store, filter, options)
	return detached(found, err)
}

// ReadUserTuple implements storage.RelationshipTupleReader.
func (d datastore) ReadUserTuple(ctx context.Context, store string, filter storage.ReadUserTupleFilter, options storage.ReadUserTupleOptions) (*openfgav1.Tuple, error) {
	bounded, cancel := bound(ctx)
	defer cancel()
	found, err := d.OpenFGADatastore.ReadUserTuple(bounded, store, filter, options)
	return found, opaque(err)
}

// ReadUsersetTuples implements storage.RelationshipTupleReader.
func (d datastore) ReadUsersetTuples(ctx context.Context, store string, filter storage.ReadUsersetTuplesFilter, options storage.ReadUsersetTuplesOptions) (storage.TupleIterator, error) {
	found, err := d.OpenFGADatastore.ReadUsersetTuples(context.WithoutCancel(ctx), store, filter, options)
	return detached(found, err)
}

// ReadStartingWithUser implements storage.RelationshipTupleReader.
func (d datastore) ReadStartingWithUser(ctx context.Context, store string, filter storage.ReadStartingWithUserFilter, options storage.ReadStartingWithUserOptions) (storage.TupleIterator, error) {
	found, err := d.OpenFGADatastore.ReadStartingWithUser(context.WithoutCancel(ctx), store, filter, options)
	return detached(found, err)
}

func bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
}

// iterator reads with a context of its own, from its first row until it is stopped. OpenFGA stops an iterator while another goroutine
// may still ask it for a row: a query that began after the stop would keep its connection for ever.
type iterator struct {
	storage.TupleIterator

	mu      sync.Mutex // held during each call: a stop waits for the row that is being read
	stopped bool
	ctx     context.Context //nolint:containedctx // of the query, which outlives each call
	cancel  context.CancelFunc
}

func detached(found storage.TupleIterator, err error) (storage.TupleIterator, error) {
	if err != nil {
		return nil, opaque(err)
	}
	return &iterator{TupleIterator: found}, nil
}

// read runs one call with the context of the query.
func (i *iterator) read(ctx context.Context, fn func(ctx context.Context) (*openfgav1.Tuple, error)) (*openfgav1.Tuple, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.stopped {
		return nil, storage.ErrIteratorDone
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if i.ctx == nil {
		i.ctx, i.cancel = bound(ctx)
	}
	row, err := fn(i.ctx)
	return row, opaque(err)
}

// Next implements storage.TupleIterator.
func (i *iterator) Next(ctx context.Context) (*openfgav1.Tuple, error) {
	return i.read(ctx, i.TupleIterator.Next)
}

// Head implements storage.TupleIterator.
func (i *iterator) Head(ctx context.Context) (*openfgav1.Tuple, error) {
	return i.read(ctx, i.TupleIterator.Head)
}

// Stop implements storage.TupleIterator.
func (i *iterator) Stop() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.stopped = true
	i.TupleIterator.Stop()
	if i.cancel != nil {
		i.cancel()
	}
}

// opaque keeps OpenFGA from taking a database that does not answer for a caller who does not wait.
func opaque(err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return apierr.New(apierr.Unavailable, "DATABASE_UNAVAILABLE", "the database does not answer").
			WithRetryAfter(time.Second).Because(errors.New(err.Error())) // without its identity
	}
	return err
}
