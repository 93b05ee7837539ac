package relationship_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse/gatehouse/internal/cursor"
	"github.com/gatehouse/gatehouse/internal/relation"
	"github.com/gatehouse/gatehouse/services/authz/internal/relationship"
)

// scripted is a log whose n-th look finds what the test says.
type scripted struct {
	finds [][]relationship.News
	err   error // after the last
}

func seen(t *testing.T, end int) cursor.Head {
	t.Helper()
	h, err := cursor.Saw{Snapshot: fmt.Sprintf("%d:%d:", end, end), Timeline: "00000001", Newest: uint64(end - 1)}.Head()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func (l *scripted) log(t *testing.T) relationship.ChangeLog { return look{l, t} }

type look struct {
	*scripted
	t *testing.T
}

func (l look) Now(context.Context) (cursor.Head, error) { return seen(l.t, 100), nil }

func (l look) Ended(_ context.Context, after cursor.Cursor, _ int) (rows []cursor.Row[relationship.News], h cursor.Head, err error) {
	if len(l.finds) == 0 {
		return nil, h, l.err
	}
	for i, news := range l.finds[0] {
		rows = append(rows, cursor.Row[relationship.News]{Place: cursor.Place{Writer: 100 + uint64(i), Key: "k"}, Value: news})
	}
	l.finds = l.finds[1:]
	return rows, seen(l.t, 200), nil
}

// Each look is told, with what changed named once, and what is too much as everything. Whoever
// cannot look says nothing.
func TestEachLookIsTold(t *testing.T) {
	one, other := relation.Tuple{Object: "group:g", Relation: "member", Subject: "user:u"}, relation.Tuple{Object: "group:h", Relation: "member", Subject: "user:u"}
	var many []relation.Tuple
	for n := range relationship.MaxNews + 1 {
		many = append(many, relation.Tuple{Object: fmt.Sprintf("group:%d", n), Relation: "member", Subject: "user:u"})
	}
	down := errors.New("down")
	synctest.Test(t, func(t *testing.T) {
		for name, c := range map[string]struct {
			found []relationship.News
			want  relationship.News
		}{
			"nothing":        {},
			"twice the same": {[]relationship.News{{Tuples: []relation.Tuple{one, other}}, {Tuples: []relation.Tuple{one}}}, relationship.News{Tuples: []relation.Tuple{one, other}}},
			"a large one":    {[]relationship.News{{Tuples: []relation.Tuple{one}}, {All: true}}, relationship.News{All: true}},
			"too much":       {[]relationship.News{{Tuples: many}}, relationship.News{All: true}},
		} {
			l := &scripted{finds: [][]relationship.News{c.found}, err: down}
			began, told := time.Now(), []relationship.News{}
			err := relationship.NewWatching(l.log(t), relationship.LookEvery).Watch(t.Context(), cursor.Cursor{}, func(n relationship.News, _ cursor.Cursor) error {
				told = append(told, n)
				return nil
			})
			if !errors.Is(err, down) || time.Since(began) != 2*relationship.LookEvery {
				t.Errorf("%s: ended with %v after %s", name, err, time.Since(began))
			}
			if want := fmt.Sprint([]relationship.News{{}, c.want}); fmt.Sprint(told) != want {
				t.Errorf("%s: told %v, want %s", name, told, want)
			}
		}
	})
}
