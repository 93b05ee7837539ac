package fga_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/relation"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	"github.com/gatehouse/gatehouse/services/authz/internal/fga"
	"github.com/gatehouse/gatehouse/services/authz/internal/fga/fgatest"
)

// pages reads all pages of a filter.
func pages(t *testing.T, engine *fga.Engine, f fga.Filter, size int) []relation.Tuple {
	t.Helper()
	var all []relation.Tuple
	for token, n := "", 0; ; n++ {
		page, next, err := engine.Read(t.Context(), f, size, token)
		if err != nil || len(page) > size || n > 200 {
			t.Fatalf("%+v: page %d has %d, %v", f, n, len(page), err)
		}
		all = append(all, page...)
		if next == "" {
			return all
		}
		token = next
	}
}

func TestReadReturnsEachRelationshipOnce(t *testing.T) {
	t.Parallel()
	engine := fgatest.New(t)
	world := randomWorld(engine, 11)
	if err := engine.Write(t.Context(), world, nil); err != nil {
		t.Fatal(err)
	}
	filters := []fga.Filter{
		{}, {Object: "group:"}, {Object: "organization:", Relation: "admin"}, {Object: "organization:2"}, {Object: "group:1", Relation: "member"},
		{Subject: "user:3"}, {Subject: "group:1#member"}, {Subject: "user:3", Relation: "member"}, {Object: "organization:", Subject: "user:3"},
		{Object: "organization:2", Subject: "group:1#member"}, {Object: "group:1", Relation: "member", Subject: "user:3"}, {Object: "user:none"},
	}
	for _, f := range filters {
		var want []string
		for _, tuple := range world {
			if (f.Object == "" || f.Object == tuple.Object || strings.HasSuffix(f.Object, ":") && strings.HasPrefix(tuple.Object, f.Object)) &&
				(f.Relation == "" || f.Relation == tuple.Relation) && (f.Subject == "" || f.Subject == tuple.Subject) {
				want = append(want, tuple.String())
			}
		}
		for _, size := range []int{1, 7, 100} {
			var got []string
			for _, tuple := range pages(t, engine, f, size) {
				got = append(got, tuple.String())
			}
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("%+v in pages of %d:\n%v, want\n%v", f, size, got, want)
			}
		}
	}
}

func TestReadRefusesFiltersAndTokens(t *testing.T) {
	t.Parallel()
	engine := fgatest.New(t)
	fgatest.Write(t, engine, "group:g#member@user:a", "group:g#member@user:b")
	for _, f := range []fga.Filter{
		{Object: "group"}, {Object: "group:a b"}, {Object: ":g"}, {Object: "group:g#member"}, {Object: "group:\x00"}, {Relation: "member"},
		{Object: "group:g", Relation: "Member"}, {Subject: "user:"}, {Subject: "user:*"}, {Subject: "user:\xff"},
	} {
		_, _, err := engine.Read(t.Context(), f, 0, "")
		if !errors.Is(err, apierr.New(apierr.InvalidArgument, "INVALID_FILTER", "")) {
			t.Errorf("%+v: %v", f, err)
		}
	}
	_, next, err := engine.Read(t.Context(), fga.Filter{Object: "group:g"}, 1, "")
	if err != nil || next == "" {
		t.Fatal(next, err)
	}
	for name, token := range map[string]string{
		"no token": "x", "another filter's": next, "changed": next[1:], "JSON of something else": base64.RawURLEncoding.EncodeToString([]byte("[]")),
	} {
		_, _, err := engine.Read(t.Context(), fga.Filter{Object: "group:other"}, 1, token)
		if !errors.Is(err, apierr.New(apierr.InvalidArgument, "INVALID_PAGE_TOKEN", "")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTuplesOfIsWhatAnObjectTakesPartIn(t *testing.T) {
	t.Parallel()
	engine := fgatest.New(t)
	fgatest.Write(t, engine,
		"group:g#member@user:a", "group:h#member@group:g#member", "organization:o#auditor@group:g#member",
		"group:g2#member@user:b", "group:h#member@group:g2#member", "organization:o#owner@user:a", "organization:o#platform@platform:gatehouse",
		"user:a#organization@organization:o")
	for object, want := range map[string]string{
		"group:g":            "group:g#member@user:a group:h#member@group:g#member organization:o#auditor@group:g#member",
		"user:a":             "group:g#member@user:a organization:o#owner@user:a user:a#organization@organization:o",
		"platform:gatehouse": "organization:o#platform@platform:gatehouse",
		"organization:o":     "organization:o#auditor@group:g#member organization:o#owner@user:a organization:o#platform@platform:gatehouse user:a#organization@organization:o",
		"user:none":          "",
	} {
		got, err := engine.TuplesOf(t.Context(), object)
		var texts []string
		for _, tuple := range got {
			texts = append(texts, tuple.String())
		}
		if err != nil || strings.Join(texts, " ") != want {
			t.Errorf("%s: %v, %v; want %s", object, texts, err, want)
		}
	}
	_, err := engine.TuplesOf(t.Context(), "group:g#member")
	wantReason(t, err, apierr.InvalidArgument, "INVALID_RELATIONSHIP")
}

// Every list reads an index in its own order: no sort, no scan of the table.
func TestReadsUseAnIndex(t *testing.T) {
	t.Parallel()
	database := fgatest.Config(t)
	engine := fgatest.Open(t, database)
	pgtest.Exec(t, database, `
		insert into authz_fga.tuple (store, object_type, object_id, relation, _user, user_type, ulid, inserted_at)
		select '`+engine.Store()+`', 'organization', (i / 20)::text, 'member', 'user:' || i % 3000, 'user', i::text, now() from generate_series(1, 20000) i`,
		"analyze authz_fga.tuple")
	for _, c := range []struct {
		filter fga.Filter
		index  string
	}{
		{fga.Filter{}, "tuple_pkey"},
		{fga.Filter{Object: "organization:"}, "tuple_pkey"},
		{fga.Filter{Object: "organization:7"}, "tuple_pkey"},
		{fga.Filter{Object: "organization:7", Relation: "member"}, "tuple_pkey"},
		{fga.Filter{Subject: "user:77"}, "idx_user_lookup"},
		{fga.Filter{Subject: "user:77", Object: "organization:"}, "idx_user_lookup"},
	} {
		_, token, err := engine.Read(t.Context(), c.filter, 3, "")
		if err != nil || token == "" {
			t.Fatalf("%+v: %v", c.filter, err)
		}
		for _, from := range []string{"", token} {
			sql, args, err := engine.Query(c.filter, from, 51)
			if err != nil {
				t.Fatal(err)
			}
			if plan := explain(t, engine, sql, args); !strings.Contains(plan, c.index) || strings.Contains(plan, "Seq Scan") {
				t.Errorf("%+v after %q:\n%s", c.filter, from, plan)
			}
		}
	}
	plan := explain(t, engine, fga.SelectAllOf, map[string]any{
		"store": engine.Store(), "object_type": "organization", "object_id": "7", "subjects": []string{"organization:7", "organization:7#member"},
	})
	if strings.Contains(plan, "Seq Scan") || !strings.Contains(plan, "idx_user_lookup") {
		t.Errorf("TuplesOf:\n%s", plan)
	}
	sql, args := engine.SelectAhead("user:77", "organization", "7")
	if plan = explain(t, engine, sql, args); strings.Contains(plan, "Seq Scan on tuple") || !strings.Contains(plan, "idx_user_lookup") {
		t.Errorf("a check:\n%s", plan)
	}
}

func explain(t *testing.T, engine *fga.Engine, sql string, args map[string]any) string {
	t.Helper()
	rows, err := engine.Pool().Query(t.Context(), "explain "+sql, pgx.StrictNamedArgs(args))
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

// A token or a filter from outside is an answer or INVALID_…, never a fault of the database.
func FuzzRead(f *testing.F) {
	engine := fgatest.New(f)
	fgatest.Write(f, engine, "group:g#member@user:a", "group:g#member@user:b")
	_, next, err := engine.Read(f.Context(), fga.Filter{Object: "group:"}, 1, "")
	if err != nil {
		f.Fatal(err)
	}
	decoded, err := base64.RawURLEncoding.DecodeString(next)
	if err != nil {
		f.Fatal(err)
	}
	f.Add("group:", "", "", string(decoded))
	f.Add("", "member", "user:a", "")
	f.Add("group:g", "member", "group:h#member", `{"f":"","a":{"t":"\u0000"}}`)
	f.Fuzz(func(t *testing.T, object, name, subject, token string) {
		text := base64.RawURLEncoding.EncodeToString([]byte(token))
		if _, _, err := engine.Read(context.Background(), fga.Filter{Object: object, Relation: name, Subject: subject}, 10, text); err != nil {
			var known *apierr.Error
			if !errors.As(err, &known) || known.Kind != apierr.InvalidArgument {
				t.Errorf("%q %q %q %q: %v", object, name, subject, token, err)
			}
		}
	})
}

// What a check leaves behind: every connection is given back, also those of branches that were not needed any more.
func TestChecksGiveTheirConnectionsBack(t *testing.T) {
	t.Parallel()
	engine := fgatest.New(t)
	var all []string
	for i := range 30 {
		all = append(all, fmt.Sprintf("group:wide#member@group:%d#member", i), fmt.Sprintf("group:%d#member@user:u", i))
	}
	fgatest.Write(t, engine, append(all, "organization:o#admin@group:wide#member", "organization:o#owner@user:u")...)
	made := engine.Pool().Stat().NewConnsCount()
	for round := range 60 {
		ctx, cancel := context.WithCancel(t.Context())
		if round%3 == 0 {
			go cancel()
		}
		_, _ = engine.Check(ctx, "user:u", []fga.Question{{Relation: "can_read", Object: "organization:o"}, {Relation: "member", Object: "group:wide"}})
		cancel()
	}
	deadline, cancel := context.WithTimeout(t.Context(), fga.Settled)
	defer cancel()
	for engine.Pool().Stat().AcquiredConns() > 0 {
		if err := engine.Ready(deadline); err != nil {
			t.Fatalf("%d connections are not given back: %v", engine.Pool().Stat().AcquiredConns(), err)
		}
	}
	if more := engine.Pool().Stat().NewConnsCount() - made; more > int64(engine.Pool().Config().MaxConns) {
		t.Errorf("%d new connections: cancelled branches cost theirs", more)
	}
}
