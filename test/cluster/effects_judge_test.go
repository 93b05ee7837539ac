package cluster_test

import (
	"strings"
	"testing"
)

// What the drills would say of writes with another effect than their answers told.
func TestEffectsAreJudged(t *testing.T) {
	writes := []write{{"a", "1", true}, {"b", "2", true}, {"c", "3", false}, {"d", "", false}}
	for name, c := range map[string]struct {
		seen map[string]int
		name string
		want string // empty: all is well
	}{
		"as answered":               {map[string]int{"1": 1, "2": 1}, "b", ""},
		"a refusal took effect":     {map[string]int{"1": 1, "2": 1, "3": 1}, "c", ""},
		"no answer took effect":     {map[string]int{"1": 1, "2": 1, "9": 1}, "d", ""},
		"acknowledged, unrecorded":  {map[string]int{"1": 1}, "b", "request 2 was acknowledged and is not in the trail"},
		"acknowledged, lost":        {map[string]int{"1": 1, "2": 1}, "a", `the name is "a"`},
		"twice":                     {map[string]int{"1": 1, "2": 2}, "b", "request 2 has changed it 2 times"},
		"changed without an event":  {map[string]int{"1": 1, "2": 1}, "c", "request 3, which the trail has not"},
		"more than was asked for":   {map[string]int{"1": 1, "2": 1, "8": 1, "9": 1}, "b", "nobody asked for"},
		"never had any of its name": {map[string]int{"1": 1, "2": 1}, "none", `the name is "none"`},
	} {
		t.Run(name, func(t *testing.T) {
			err := (&person{writes: writes}).judge(c.seen, c.name)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
	if err := (&person{}).judge(map[string]int{}, "none"); err != nil {
		t.Errorf("without writes: %v", err)
	}
}
