package relation_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/relation"
)

func TestParse(t *testing.T) {
	good := map[string]relation.Tuple{
		"organization:o#member@user:u":        {Object: "organization:o", Relation: "member", Subject: "user:u"},
		"organization:o#owner@group:g#member": {Object: "organization:o", Relation: "owner", Subject: "group:g#member"},
		"a:ü.-/+#b_1@c:d":                     {Object: "a:ü.-/+", Relation: "b_1", Subject: "c:d"},
	}
	for text, want := range good {
		got, err := relation.Parse(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	bad := []string{
		"", "a", "a:b", "a:b#c", "a:b@c:d", "a:b#c@", "a:b#c@d", "a:b#c@d:", "a:#c@d:e", ":b#c@d:e", "A:b#c@d:e", "a:b#C@d:e", "a:b#@d:e",
		"a:b#c@d:*", "a:b#c@d:e#", "a:b#c@d:e#f#g", "a:b:c#d@e:f", "a:b c#d@e:f", "a:b#c@d:e@f", "a:b#c@d:e\n", "1a:b#c@d:e",
		"a:b\x00#c@d:e", "a:b#c@d:\x00", "a:b#c@d:e\x1b", "a:b\u009b31m#c@d:e", "a:b#c@d:e\u00a0f", "a:b#c@d:\u2028", "a:b#c@d:\xff", // R92
		"a:" + strings.Repeat("b", 255) + "#c@d:e", "a:b#" + strings.Repeat("c", 51) + "@d:e",
	}
	for _, text := range bad {
		_, err := relation.Parse(text)
		var e *apierr.Error
		if !errors.As(err, &e) || e.Kind != apierr.InvalidArgument || e.Reason != "INVALID_RELATIONSHIP" || len(e.Message) > 300 {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestChangeValidate(t *testing.T) {
	tuple := relation.Tuple{Object: "organization:o", Relation: "member", Subject: "user:u"}
	many := make([]relation.Tuple, relation.MaxTuples+1)
	for i := range many {
		many[i] = tuple
	}
	good := []relation.Change{
		{Writes: many[50:], Deletes: many[1:50]}, {Deletes: []relation.Tuple{tuple}}, {DeleteAllOf: "user:u"},
	}
	for _, c := range good {
		if err := c.Validate(); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
	bad := []relation.Change{
		{}, {Writes: many}, {Deletes: many}, {Writes: many[50:], Deletes: many[:50]}, {DeleteAllOf: "user"}, {DeleteAllOf: "group:g#member"},
		{Writes: []relation.Tuple{{}}}, {Deletes: []relation.Tuple{tuple, {Object: "a:b"}}},
	}
	for _, c := range bad {
		if err := c.Validate(); err == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
}

func TestTypeAndSet(t *testing.T) {
	if relation.Type("user:u") != "user" || relation.Type("group:g#member") != "group" {
		t.Error("Type is not what stands before the colon")
	}
	if relation.IsSet("user:u") || !relation.IsSet("group:g#member") {
		t.Error("IsSet does not see the relation")
	}
}

func FuzzParse(f *testing.F) {
	f.Add("organization:o#owner@group:g#member")
	f.Add("a:b#c@d:e@f")
	f.Fuzz(func(t *testing.T, text string) {
		if tuple, err := relation.Parse(text); err == nil && tuple.String() != text {
			t.Errorf("%q was read as %q", text, tuple)
		}
	})
}
