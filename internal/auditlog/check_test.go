package auditlog_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/auditlog"
	"github.com/gatehouse/gatehouse/internal/auditlog/auditlogtest"
)

// store is what a database holds of a log of events, and the checkpoints that were signed over it.
func store(t testing.TB, events int, sizes ...int64) (stored []auditlog.Stored, checkpoints []auditlog.Checkpoint) {
	t.Helper()
	var l auditlogtest.Log
	for i := range events {
		canonical := happened(t, i).Canonical
		l.Add(t, canonical)
		stored = append(stored, auditlog.Stored{Index: int64(i), Canonical: canonical, Leaf: auditlog.LeafHash(canonical)})
	}
	for _, size := range sizes {
		checkpoints = append(checkpoints, checkpoint(size, l.Root(t, size)))
	}
	return stored, checkpoints
}

func checked(t testing.TB, stored []auditlog.Stored, checkpoints ...auditlog.Checkpoint) auditlog.CheckReport {
	t.Helper()
	c, err := auditlog.NewCheck(checkpoints...)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range stored {
		c.Add(s)
	}
	return c.Finish()
}

func TestCheckOfAWholeLog(t *testing.T) {
	stored, checkpoints := store(t, 20, 20, 0, 7, 7, 1)
	if got := checked(t, stored, checkpoints...); len(got.Findings) > 0 || got.Size != 20 || got.Gone != 0 || got.Matched != 20 {
		t.Errorf("%+v", got)
	}
	if got := checked(t, stored, checkpoints[2]); len(got.Findings) > 0 || got.Size != 20 || got.Matched != 7 { // it has grown since
		t.Errorf("%+v", got)
	}
}

// What retention removes is not taken for deleted, and what was deleted is not taken for removed.
func TestRemovedLeaves(t *testing.T) {
	whole, checkpoints := store(t, 20, 20)
	for name, c := range map[string]struct {
		gone    []int
		removed []int // of these, by retention
		want    []string
	}{
		"by retention":       {[]int{3, 5, 6}, []int{3, 5, 6}, nil},
		"from the beginning": {[]int{0, 1, 2}, []int{0, 1, 2}, nil},
		"all of them":        {[]int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19}, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19}, nil},
		"by nobody": {[]int{3, 5, 6}, nil,
			[]string{"3 its event is gone, and retention did not remove it", "5 the events of leaves 5 to 6 are gone, and retention did not remove them"}},
		"beside what was removed": {[]int{3, 4, 5, 12, 13}, []int{3, 5},
			[]string{"4 its event is gone, and retention did not remove it", "12 the events of leaves 12 to 13 are gone"}},
		"the last":           {[]int{19}, nil, []string{"19 its event is gone"}},
		"the last of many":   {[]int{18, 19}, nil, []string{"18 the events of leaves 18 to 19 are gone"}},
		"removed, and there": {[]int{3}, []int{3, 4}, nil}, // in a backup that was put back
	} {
		stored := copiedStore(whole)
		for _, i := range c.gone {
			stored[i].Canonical = nil
		}
		for _, i := range c.removed {
			stored[i].Removed = true
		}
		got := checked(t, stored, checkpoints...)
		if got.Gone != int64(len(c.gone)) || got.Matched != 20 || len(got.Findings) != len(c.want) {
			t.Fatalf("%s: %+v", name, got)
		}
		for i, want := range c.want {
			if !strings.HasPrefix(fmt.Sprintf("%d %s", got.Findings[i].Index, got.Findings[i].Text), want) {
				t.Errorf("%s: %+v, want %q", name, got.Findings[i], want)
			}
		}
	}
}

// R69: what a superuser of the database can do to its rows, and the place that is named for it.
func TestTamperedLog(t *testing.T) {
	whole, checkpoints := store(t, 20, 8, 20)
	edit := func(s auditlog.Stored) auditlog.Stored {
		s.Canonical = bytes.Replace(s.Canonical, []byte("success"), []byte("failure"), 1)
		return s
	}
	for name, c := range map[string]struct {
		tamper func(s []auditlog.Stored) []auditlog.Stored
		want   []string
	}{
		"an edit": {func(s []auditlog.Stored) []auditlog.Stored { s[4] = edit(s[4]); return s },
			[]string{"4 event 0192f0c1-2f6e-7c3a-9d55-000000000004: its bytes are not those that the tree was made of"}},
		"an edit of event and hash": {func(s []auditlog.Stored) []auditlog.Stored {
			s[10] = edit(s[10])
			s[10].Leaf = auditlog.LeafHash(s[10].Canonical)
			return s
		}, []string{"-1 somewhere from leaf 8 to leaf 19 the hashes of the tree are not those of the checkpoint of size 20"}},
		"an edit of the hash": {func(s []auditlog.Stored) []auditlog.Stored { s[2].Leaf[7] ^= 1; return s },
			[]string{"2 event", "-1 somewhere from leaf 0 to leaf 7"}},
		"no event":             {func(s []auditlog.Stored) []auditlog.Stored { s[4].Canonical = []byte("{}"); return s }, []string{"4 something that is no event"}},
		"a deletion":           {func(s []auditlog.Stored) []auditlog.Stored { return slices.Delete(s, 4, 5) }, []string{"4 it is missing: leaf 5 follows on leaf 3"}},
		"deletions":            {func(s []auditlog.Stored) []auditlog.Stored { return slices.Delete(s, 4, 9) }, []string{"4 leaves 4 to 8 are missing"}},
		"the first is deleted": {func(s []auditlog.Stored) []auditlog.Stored { return s[1:] }, []string{"0 it is missing"}},
		"a deletion, and the rest moved up": {func(s []auditlog.Stored) []auditlog.Stored {
			for i := 4; i < 19; i++ {
				s[i].Canonical, s[i].Leaf = s[i+1].Canonical, s[i+1].Leaf
			}
			return s[:19]
		}, []string{"-1 somewhere from leaf 0 to leaf 7", "19 the log ends here"}},
		"a reorder": {func(s []auditlog.Stored) []auditlog.Stored {
			s[4].Canonical, s[9].Canonical = s[9].Canonical, s[4].Canonical
			return s
		}, []string{"4 event 0192f0c1-2f6e-7c3a-9d55-000000000009: its bytes are not those that the tree was made of; they belong to leaf 9", "9 event 0192f0c1-2f6e-7c3a-9d55-000000000004"}},
		"a reorder of rows": {func(s []auditlog.Stored) []auditlog.Stored { s[4], s[9] = s[9], s[4]; return s },
			[]string{"4 leaves 4 to 8 are missing", "5 it comes again, after leaf 9"}},
		"an insertion": {func(s []auditlog.Stored) []auditlog.Stored { return slices.Insert(s, 4, s[3]) }, []string{"3 it comes again"}},
		"a truncation": {func(s []auditlog.Stored) []auditlog.Stored { return s[:15] },
			[]string{"15 the log ends here, and a checkpoint of 20 leaves was signed: it was cut, rewound or restored from an older backup"}},
		"nothing left": {func([]auditlog.Stored) []auditlog.Stored { return nil }, []string{"0 the log ends here"}},
		"an edit of what is gone": {func(s []auditlog.Stored) []auditlog.Stored {
			s[2].Canonical, s[2].Leaf = nil, auditlog.Hash{}
			return s
		},
			[]string{"2 its event is gone, and retention did not remove it", "-1 somewhere from leaf 0 to leaf 7"}},
	} {
		got := checked(t, c.tamper(copiedStore(whole)), checkpoints...)
		for i, want := range c.want {
			if i >= len(got.Findings) || !strings.HasPrefix(fmt.Sprintf("%d %s", got.Findings[i].Index, got.Findings[i].Text), want) {
				t.Errorf("%s: %+v, want at %d %q", name, got.Findings, i, want)
			}
		}
	}
}

func copiedStore(stored []auditlog.Stored) []auditlog.Stored {
	stored = slices.Clone(stored)
	for i := range stored {
		stored[i].Canonical = bytes.Clone(stored[i].Canonical)
	}
	return stored
}

func TestCheckCountsWhatItDoesNotKeep(t *testing.T) {
	stored, checkpoints := store(t, 300, 300)
	for i := range stored {
		stored[i].Canonical = []byte("{}")
	}
	if got := checked(t, stored, checkpoints...); len(got.Findings) != 100 || got.More != 200 {
		t.Errorf("%d and %d", len(got.Findings), got.More)
	}
}

func TestNewCheckRefuses(t *testing.T) {
	a, b, c := checkpoint(7, auditlog.Hash{1}), checkpoint(7, auditlog.Hash{2}), checkpoint(7, auditlog.Hash{1})
	c.Origin = "example.com/audit/2"
	for want, checkpoints := range map[string][]auditlog.Checkpoint{
		"without a checkpoint": nil, "two different trees": {a, b}, "of two logs": {a, c},
	} {
		if _, err := auditlog.NewCheck(checkpoints...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// Memory does not grow with the log.
func TestCheckKeepsNoLeaf(t *testing.T) {
	stored, checkpoints := store(t, 50, 50)
	c, err := auditlog.NewCheck(checkpoints...)
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range 100_000 {
		s := stored[i%50]
		s.Index = int64(i)
		c.Add(s)
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 64<<20 {
		t.Errorf("%d bytes were allocated for 100,000 leaves", grown)
	}
}

// BenchmarkCheck is the verification of a whole log beside SHA-256 of the same bytes, in
// interleaved rounds: the least that anybody could do. Bound: 0.3 of its speed.
func BenchmarkCheck(b *testing.B) {
	const events = 5000
	stored, checkpoints := store(b, events, events)
	var size int64
	for _, s := range stored {
		size += int64(len(s.Canonical))
	}
	var check, bare time.Duration
	for b.Loop() {
		begun := time.Now()
		if got := checked(b, stored, checkpoints...); len(got.Findings) > 0 || got.Matched != events {
			b.Fatalf("%+v", got)
		}
		check += time.Since(begun)
		begun = time.Now()
		for _, s := range stored {
			sha256.Sum256(s.Canonical)
		}
		bare += time.Since(begun)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(size*int64(b.N))/check.Seconds()/1e6, "MB/s")
	b.ReportMetric(float64(events*b.N)/check.Seconds(), "events/s")
	b.ReportMetric(bare.Seconds()/check.Seconds(), "of-sha256")
	b.ReportMetric(0.3, "of-sha256-bound")
}
