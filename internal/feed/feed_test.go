package feed_test

import (
	"slices"
	"sync"
	"testing"

	"github.com/gatehouse/gatehouse/internal/feed"
)

// cut reports whether the follower was cut.
func cut(w *feed.Follower[int]) bool {
	for {
		select {
		case _, ok := <-w.Ready():
			if !ok {
				return true
			}
		default:
			return false
		}
	}
}

func TestFollowersHearWhatTheyWant(t *testing.T) {
	f := feed.New(1000, ones)
	f.Tell(1, 1) // nobody hears it
	all, even := feed.NewFollower[int](nil), feed.NewFollower(func(n int) bool { return n%2 == 0 })
	f.Join(all, 1, 100, 101)
	f.Join(even, 1)
	f.Tell(4, 2, 3, 4)
	if items, upTo := all.Take(); !slices.Equal(items, []int{100, 101, 2, 3, 4}) || upTo != 4 {
		t.Errorf("who wants all heard %v up to %d", items, upTo)
	}
	if items, upTo := even.Take(); !slices.Equal(items, []int{2, 4}) || upTo != 4 {
		t.Errorf("who wants some heard %v up to %d", items, upTo)
	}
	f.Tell(5, 5)
	if items, upTo := even.Take(); len(items) > 0 || upTo != 5 {
		t.Errorf("heard %v up to %d", items, upTo)
	}
	f.Leave(all)
	f.Leave(even)
	if f.Followed() {
		t.Error("somebody follows who has left")
	}
}

func ones(int) int { return 1 }

// The bound is in bytes: small items may wait for long, large ones not. What was not taken by who
// is cut is not kept.
func TestWhoFallsBehindIsCutAndTheOthersGoOn(t *testing.T) {
	for name, c := range map[string]struct{ size, fit int }{"small": {1, 12}, "large": {4, 3}, "just": {12, 1}, "larger than the bound": {100, 1}} {
		t.Run(name, func(t *testing.T) {
			f := feed.New(12, func(int) int { return c.size })
			slow, quick := feed.NewFollower[int](nil), feed.NewFollower[int](nil)
			f.Join(slow, 0)
			f.Join(quick, 0)
			for n := range c.fit + 1 {
				if cut(slow) {
					t.Fatalf("cut after %d items", n)
				}
				f.Tell(0, n)
				quick.Take()
			}
			if !cut(slow) || cut(quick) {
				t.Errorf("the slow one is cut: %v, the quick one: %v", cut(slow), cut(quick))
			}
			if items, _ := slow.Take(); len(items) > 0 {
				t.Errorf("who was cut still holds %d items", len(items))
			}
			f.Tell(0, 4)
			f.Leave(slow) // does not hurt
			f.CutAll()
			if !cut(quick) || f.Followed() {
				t.Error("somebody goes on after all were cut")
			}
		})
	}
}

// A follower that was cut names no position beyond what it has taken: who resumed from there would
// miss what was dropped.
func TestThePositionOfWhoWasCut(t *testing.T) {
	f, w := feed.New(2, ones), feed.NewFollower(func(n int) bool { return n > 0 })
	f.Join(w, 5)
	f.Tell(6, 1)
	w.Take()
	f.Tell(8, -1) // not wanted: nothing is left to take
	for position := int64(9); !cut(w); position++ {
		f.Tell(position, 1)
	}
	if items, upTo := w.Take(); len(items) > 0 || upTo != 8 {
		t.Errorf("%v up to %d, want nothing up to 8", items, upTo)
	}
}

// Who has taken everything is told all that there is now, however much.
func TestWhoIsNotBehindIsNotCut(t *testing.T) {
	f, w := feed.New(3, ones), feed.NewFollower[int](nil)
	f.Join(w, 0, 1, 2, 3, 4, 5)
	for range 3 {
		if items, _ := w.Take(); len(items) != 5 || cut(w) {
			t.Fatalf("%d items, cut: %v", len(items), cut(w))
		}
		f.Tell(0, 1, 2, 3, 4, 5)
	}
	f.Tell(0, 6)
	if !cut(w) {
		t.Error("who is behind is not cut")
	}
}

func TestWakeNeverBlocksAndIsNotLost(t *testing.T) {
	f := feed.New(1000, ones)
	for range 3 {
		f.Wake()
	}
	<-f.Woken()
	select {
	case <-f.Woken():
		t.Error("three wakes before one look are more than one")
	default:
	}
}

// For the race detector.
func TestFollowersComeAndGo(t *testing.T) {
	f := feed.New(4, ones)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				w := feed.NewFollower[int](nil)
				f.Join(w, 0, 1)
				w.Take()
				f.Leave(w)
			}
		})
	}
	for n := range 100 {
		f.Tell(int64(n), n)
	}
	wg.Wait()
}
