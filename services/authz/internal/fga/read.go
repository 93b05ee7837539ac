package fga

import (
	"context"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/relation"
)

// Filter says which relationships Read returns.
type Filter struct {
	Object   string // "type:id", or "type:" for all objects of a type; "" for all
	Relation string // only together with an object or a subject; "" for all
	Subject  string // "type:id" or "type:id#relation"; "" for all
}

// Read returns one page of the relationships as they were written, and the token of the next page, "" on the last.
func (e *Engine) Read(ctx context.Context, f Filter, size int, pageToken string) ([]relation.Tuple, string, error) {
	return nil, "", apierr.New(apierr.Unimplemented, "UNIMPLEMENTED", "not yet")
}

// Exists reports whether a relationship was written; what follows from others does not count.
func (e *Engine) Exists(ctx context.Context, t relation.Tuple) (bool, error) {
	return false, apierr.New(apierr.Unimplemented, "UNIMPLEMENTED", "not yet")
}

// TuplesOf returns every relationship in which an object or a subject, "type:id", takes part, also as a set of subjects.
func (e *Engine) TuplesOf(ctx context.Context, objectOrSubject string) ([]relation.Tuple, error) {
	return nil, apierr.New(apierr.Unimplemented, "UNIMPLEMENTED", "not yet")
}
