package resource

import "testing"

func TestPageClampsTheLimit(t *testing.T) {
	for limit, want := range map[int]int{0: 50, -1: 50, 1: 1, 1000: 1000, 1001: 1000} {
		size, ahead := Query{Limit: limit}.Page()
		if size != want || ahead.Limit != want+1 {
			t.Errorf("limit %d: page of %d, reads %d", limit, size, ahead.Limit)
		}
	}
}

func TestCut(t *testing.T) {
	position := func(id string) Cursor { return Cursor{ID: id} }
	for _, c := range []struct {
		rows []string
		next string
	}{{nil, ""}, {[]string{"a"}, ""}, {[]string{"a", "b"}, ""}, {[]string{"a", "b", "c"}, "b"}} {
		page, next := Cut(c.rows, 2, position)
		if len(page) != min(len(c.rows), 2) {
			t.Errorf("%v: page %v", c.rows, page)
		}
		if (next == nil) != (c.next == "") || next != nil && next.ID != c.next {
			t.Errorf("%v: next %v, want %q", c.rows, next, c.next)
		}
	}
}
