package fga

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/relation"
	"github.com/gatehouse/gatehouse/internal/resource"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1/reason"
)

// Page sizes of Read.
const (
	defaultPage = 50
	mostOfPage  = 100
)

// Filter says which relationships Read returns.
type Filter struct {
	Object   string // "type:id", or "type:" for all objects of a type; "" for all
	Relation string // only together with an object or a subject; "" for all
	Subject  string // "type:id" or "type:id#relation"; "" for all
}

// validate checks the form of a filter, and that an index answers it.
func (f Filter) validate() error {
	kind, ok := strings.CutSuffix(f.Object, ":")
	switch {
	case f.Object != "" && !relation.IsObject(f.Object) && !(ok && relation.IsRelation(kind)):
		return badFilter("object", "write type:id, or type: for all objects of a type")
	case f.Relation != "" && !relation.IsRelation(f.Relation):
		return badFilter("relation", "write a relation of the authorization model")
	case f.Subject != "" && !relation.IsSubject(f.Subject):
		return badFilter("subject", "write type:id or type:id#relation")
	case f.Relation != "" && f.Object == "" && f.Subject == "":
		return badFilter("relation", "name an object, a type of objects or a subject with it")
	}
	return nil
}

func badFilter(field, fix string) error {
	return reason.InvalidFilter().WithField(field, "filter", fix)
}

// Read returns one page of the relationships as they were written, and the token of the next page, "" on the last. The size is 50 when
// it is 0, 100 at most. The token holds for the same filter only.
func (e *Engine) Read(ctx context.Context, f Filter, size int, pageToken string) ([]relation.Tuple, string, error) {
	at, err := e.loaded()
	if err != nil {
		return nil, "", err
	}
	if err := f.validate(); err != nil {
		return nil, "", err
	}
	after, err := parsePageToken(pageToken, f)
	if err != nil {
		return nil, "", err
	}
	if size <= 0 {
		size = defaultPage
	}
	size = min(size, mostOfPage)
	sql, args := f.query(at.store, after, size+1)
	rows, err := e.pool.Query(ctx, sql, args)
	if err != nil {
		return nil, "", translate(ctx, err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[row])
	if err != nil {
		return nil, "", translate(ctx, err)
	}
	next := ""
	if len(found) > size {
		found = found[:size]
		next = resource.RowToken(f.digest(), found[size-1])
	}
	return tuples(found), next, nil
}

// row is a row of OpenFGA's table.
type row struct {
	ObjectType string `json:"t"`
	ObjectID   string `json:"i"`
	Relation   string `json:"r"`
	Subject    string `json:"s"`
}

func tuples(rows []row) []relation.Tuple {
	all := make([]relation.Tuple, len(rows))
	for i, r := range rows {
		all[i] = relation.Tuple{Object: r.ObjectType + ":" + r.ObjectID, Relation: r.Relation, Subject: r.Subject}
	}
	return all
}

const selectTuples = `
	select object_type, object_id, relation, _user as subject
	from authz_fga.tuple where store = @store`

// query reads in the order of an index: with a subject that of idx_user_lookup, otherwise that of the primary key.
func (f Filter) query(store string, after *row, limit int) (string, pgx.StrictNamedArgs) {
	var sql strings.Builder
	sql.WriteString(selectTuples)
	args := pgx.StrictNamedArgs{"store": store, "row_limit": limit}
	equal := func(column, argument, value string) {
		if value != "" {
			sql.WriteString(" and " + column + " = @" + argument)
			args[argument] = value
		}
	}
	kind, id, _ := strings.Cut(f.Object, ":")
	equal("object_type", "object_type", kind)
	equal("object_id", "object_id", id)
	equal("relation", "relation", f.Relation)
	equal("_user", "subject", f.Subject)
	order := "object_type, object_id, relation, _user"
	from := "@after_type, @after_id, @after_relation, @after_subject"
	if f.Subject != "" {
		order, from = `relation, object_type, object_id collate "C"`, "@after_relation, @after_type, @after_id"
	}
	if after != nil {
		sql.WriteString(" and (" + order + ") > (" + from + ")")
		args["after_type"], args["after_id"], args["after_relation"] = after.ObjectType, after.ObjectID, after.Relation
		if f.Subject == "" {
			args["after_subject"] = after.Subject
		}
	}
	sql.WriteString(" order by " + order + " limit @row_limit")
	return sql.String(), args
}

// digest stands for the filter in page tokens.
func (f Filter) digest() string {
	sum := sha256.Sum256([]byte(f.Object + "\n" + f.Relation + "\n" + f.Subject))
	return base64.RawURLEncoding.EncodeToString(sum[:9])
}

func parsePageToken(text string, f Filter) (*row, error) {
	if text == "" {
		return nil, nil
	}
	after, ok := resource.ParseRowToken[row](text, f.digest())
	if !ok || !relation.Storable(after.ObjectType+after.ObjectID+after.Relation+after.Subject) {
		return nil, reason.InvalidPageToken()
	}
	return &after, nil
}

// Exists reports whether a relationship was written; what follows from others does not count.
func (e *Engine) Exists(ctx context.Context, t relation.Tuple) (bool, error) {
	at, err := e.loaded()
	if err != nil {
		return false, err
	}
	if err := t.Validate(); err != nil {
		return false, err
	}
	kind, id, _ := strings.Cut(t.Object, ":")
	var exists bool
	err = e.pool.QueryRow(ctx, `
		select exists (
			select from authz_fga.tuple
			where store = @store and object_type = @object_type and object_id = @object_id and relation = @relation and _user = @subject
		)`, pgx.StrictNamedArgs{
		"store": at.store, "object_type": kind, "object_id": id, "relation": t.Relation, "subject": t.Subject,
	}).Scan(&exists)
	return exists, translate(ctx, err)
}

// selectAllOf unites two index scans; `or` over both would read the whole table.
const selectAllOf = selectTuples + ` and object_type = @object_type and object_id = @object_id
	union` + selectTuples + ` and _user = any(@subjects)
	order by object_type, object_id, relation, subject`

// TuplesOf returns every relationship in which an object or a subject, "type:id", takes part, also as a set of subjects: sorted, all
// of them.
func (e *Engine) TuplesOf(ctx context.Context, objectOrSubject string) ([]relation.Tuple, error) {
	at, err := e.loaded()
	if err != nil {
		return nil, err
	}
	if err := e.rules.object(objectOrSubject); err != nil {
		return nil, err
	}
	kind, id, _ := strings.Cut(objectOrSubject, ":")
	subjects := []string{objectOrSubject}
	for name := range e.rules.subjects[kind] {
		subjects = append(subjects, objectOrSubject+"#"+name)
	}
	rows, err := e.pool.Query(ctx, selectAllOf, pgx.StrictNamedArgs{
		"store": at.store, "object_type": kind, "object_id": id, "subjects": subjects,
	})
	if err != nil {
		return nil, translate(ctx, err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[row])
	if err != nil {
		return nil, translate(ctx, fmt.Errorf("read the relationships of an object: %w", pg.Error(err)))
	}
	return tuples(found), nil
}
