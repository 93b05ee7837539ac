package fga

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	openfgav1 "github.com/openfga/api/proto/openfga/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/internal/relation"
)

// Pauses between the attempts of a write that met another one on the same tuples.
const (
	firstPause = 2 * time.Millisecond
	mostPause  = 100 * time.Millisecond
)

// Write adds and removes relationships in one transaction: all or none. What exists already and
// what is missing already is not an error, so that a write may be repeated. At most 100 of each; a
// relationship in both lists is InvalidArgument.
//
// A write may have landed although an error came back. After Settled it has landed or never will.
func (e *Engine) Write(ctx context.Context, writes, deletes []relation.Tuple) error {
	at, err := e.loaded()
	if err != nil {
		return err
	}
	request, err := e.writeRequest(at, writes, deletes)
	if err != nil || (request.Writes == nil && request.Deletes == nil) {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	for wait := firstPause; ; wait = min(2*wait, mostPause) {
		_, err := at.server.Write(bounded, request)
		if status.Code(err) != codes.Aborted {
			return e.written(ctx, err)
		}
		if !pause(bounded, wait/2+rand.N(wait)) { //nolint:gosec // jitter needs no secrecy
			return e.written(ctx, err)
		}
	}
}

// written is translate for a write whose own time may be over while its caller still waits.
func (e *Engine) written(ctx context.Context, err error) error {
	if err != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return busy(err)
	}
	return translate(ctx, err)
}

func (e *Engine) writeRequest(at *loaded, writes, deletes []relation.Tuple) (*openfgav1.WriteRequest, error) {
	if len(writes) > relation.MaxTuples || len(deletes) > relation.MaxTuples {
		return nil, invalid("a write adds at most %d relationships and removes at most %d", relation.MaxTuples, relation.MaxTuples)
	}
	request := &openfgav1.WriteRequest{StoreId: at.store, AuthorizationModelId: at.model}
	seen := map[relation.Tuple]bool{} // true: written
	for _, t := range writes {
		if err := e.rules.writable(t); err != nil {
			return nil, err
		}
		if seen[t] {
			continue
		}
		seen[t] = true
		if request.Writes == nil {
			request.Writes = &openfgav1.WriteRequestWrites{OnDuplicate: "ignore"}
		}
		request.Writes.TupleKeys = append(request.Writes.TupleKeys, &openfgav1.TupleKey{Object: t.Object, Relation: t.Relation, User: t.Subject})
	}
	for _, t := range deletes {
		if err := t.Validate(); err != nil {
			return nil, err
		}
		written, known := seen[t]
		switch {
		case written:
			return nil, invalid("%s is both added and removed", t)
		case known:
			continue
		}
		seen[t] = false
		if request.Deletes == nil {
			request.Deletes = &openfgav1.WriteRequestDeletes{OnMissing: "ignore"}
		}
		request.Deletes.TupleKeys = append(request.Deletes.TupleKeys,
			&openfgav1.TupleKeyWithoutCondition{Object: t.Object, Relation: t.Relation, User: t.Subject})
	}
	return request, nil
}

// pause waits; false when the context ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
