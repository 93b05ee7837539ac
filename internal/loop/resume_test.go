package loop

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Each attempt begins after what was heard last, an end in order is nobody's news, and a final
// error ends it all.
func TestResumeGoesOnAfterTheCursor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken, gone := errors.New("broken"), errors.New("gone")
		attempts := []struct {
			says []string
			err  error
		}{{[]string{"c1", "c2"}, broken}, {nil, broken}, {[]string{"c3"}, nil}, {nil, gone}}
		var begun, told []string
		err := Resume(t.Context(), Stream{
			Cursor: "c0", Silence: time.Minute,
			Read: func(_ context.Context, cursor string, heard func(string)) error {
				a := attempts[len(begun)]
				begun = append(begun, cursor)
				for _, c := range a.says {
					heard(c)
				}
				return a.err
			},
			Told:  func(err error) { told = append(told, err.Error()) },
			Final: func(err error) bool { return errors.Is(err, gone) },
		})
		if !errors.Is(err, gone) || !slices.Equal(begun, []string{"c0", "c2", "c2", "c3"}) || !slices.Equal(told, []string{"broken", "broken"}) {
			t.Errorf("attempts after %q, told %q, ends with %v", begun, told, err)
		}
	})
}

// A stream whose heartbeats stop is given up; one that only has heartbeats is not.
func TestResumeGivesUpASilentStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		began := time.Now()
		var told []time.Duration
		err := Resume(ctx, Stream{
			Silence: 4 * time.Second,
			Read: func(ctx context.Context, _ string, heard func(string)) error {
				for range 10 {
					<-time.After(3 * time.Second)
					heard("")
				}
				<-ctx.Done()
				return ctx.Err()
			},
			Told: func(err error) {
				if !strings.Contains(err.Error(), "nothing for 4s") {
					t.Errorf("told %v", err)
				}
				told = append(told, time.Since(began))
				cancel()
			},
		})
		if err != nil || !slices.Equal(told, []time.Duration{34 * time.Second}) {
			t.Errorf("given up after %v, %v", told, err)
		}
	})
}

// Pauses grow up to the longest, differ from one follower to the next, and are short again as soon
// as something was heard.
func TestResumePauses(t *testing.T) {
	pauses := func(answers int) (all []time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			last := time.Now()
			_ = Resume(ctx, Stream{Silence: time.Minute, Read: func(_ context.Context, _ string, heard func(string)) error {
				all = append(all, time.Since(last))
				last = time.Now()
				if len(all) == 12 {
					cancel()
				}
				if len(all) == answers {
					heard("c")
				}
				return errors.New("no")
			}})
		})
		return all[1:]
	}
	one, other := pauses(8), pauses(8)
	if slices.Equal(one, other) {
		t.Errorf("two followers come back together: %v", one)
	}
	for i, pause := range one {
		limit := min(firstPause<<i, longestPause)
		if i >= 7 {
			limit = min(firstPause<<(i-7), longestPause)
		}
		if pause < limit/2 || pause > limit {
			t.Errorf("pause %d is %s, want %s at most and half of it at least", i, pause, limit)
		}
	}
}
