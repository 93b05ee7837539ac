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
	f := feed.New[int](10)
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

func TestWhoFallsBehindIsCutAndTheOthersGoOn(t *testing.T) {
	f := feed.New[int](3)
	slow, quick := feed.NewFollower[int](nil), feed.NewFollower[int](nil)
	f.Join(slow, 0)
	f.Join(quick, 0)
	for n := range 4 {
		if cut(slow) {
			t.Fatalf("cut after %d items", n)
		}
		f.Tell(0, n)
		quick.Take()
	}
	if !cut(slow) || cut(quick) {
		t.Errorf("the slow one is cut: %v, the quick one: %v", cut(slow), cut(quick))
	}
	f.Tell(0, 4)
	f.Leave(slow) // does not hurt
	f.CutAll()
	if !cut(quick) || f.Followed() {
		t.Error("somebody goes on after all were cut")
	}
}

func TestWakeNeverBlocksAndIsNotLost(t *testing.T) {
	f := feed.New[int](1)
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
	f := feed.New[int](4)
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
