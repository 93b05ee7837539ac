package pgtest

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// node is one step of a plan, with those it reads from.
type node struct {
	Type  string `json:"Node Type"`
	Index string `json:"Index Name"`
	Plans []node `json:"Plans"`
}

func (n node) has(match func(node) bool) bool {
	if match(n) {
		return true
	}
	return slices.ContainsFunc(n.Plans, func(child node) bool { return child.has(match) })
}

// WantIndex fails the test unless the statement's plan with these values reads the index ("" for
// whichever), or its parts where the table is partitioned, and has none of the steps, such as
// "Seq Scan".
func WantIndex(t testing.TB, pool *pgxpool.Pool, index, sql string, args pgx.StrictNamedArgs, without ...string) {
	t.Helper()
	var text string
	if err := pool.QueryRow(t.Context(), "explain (format json) "+sql, args).Scan(&text); err != nil {
		t.Fatal(err)
	}
	var plans []struct{ Plan node }
	if err := json.Unmarshal([]byte(text), &plans); err != nil {
		t.Fatal(err)
	}
	plan := plans[0].Plan
	names := parts(t, pool, index)
	if index != "" && !plan.has(func(n node) bool { return slices.Contains(names, n.Index) }) {
		t.Errorf("%s is not used by\n%s\n%s", index, strings.TrimSpace(sql), text)
	}
	for _, step := range without {
		if plan.has(func(n node) bool { return n.Type == step }) {
			t.Errorf("there is a %s in the plan of\n%s\n%s", step, strings.TrimSpace(sql), text)
		}
	}
}

// parts are the names of an index and of its parts in the partitions of the table.
func parts(t testing.TB, pool *pgxpool.Pool, index string) []string {
	t.Helper()
	rows, err := pool.Query(t.Context(), `
		select part.relname from pg_catalog.pg_class whole
		join pg_catalog.pg_inherits i on i.inhparent = whole.oid
		join pg_catalog.pg_class part on part.oid = i.inhrelid
		where whole.relkind = 'I' and whole.relname = $1`, index)
	if err != nil {
		t.Fatal(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return append(names, index)
}
