package access_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/gatehouse/gatehouse/internal/access"
	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/token"
)

// counted counts the questions of each second, and denies what it is told to.
type counted struct {
	mu      sync.Mutex
	begin   time.Time
	seconds map[int]int
	subject map[string]int
	denied  string // subject
}

func (c *counted) Allowed(_ context.Context, subject string, asked []access.Question, _ string) ([]bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seconds[int(time.Since(c.begin)/time.Second)]++
	c.subject[subject]++
	return slices.Repeat([]bool{subject != c.denied}, len(asked)), nil
}

// reset forgets what was asked and counts from now on.
func (c *counted) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begin, c.seconds, c.subject = time.Now(), map[int]int{}, map[string]int{}
}

// questions returns how many were asked in all and in the busiest second.
func (c *counted) questions() (all, most int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range c.seconds {
		all, most = all+n, max(most, n)
	}
	return all, most
}

func (c *counted) of(subject string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.subject[subject]
}

// streams are open streams that a permission admitted.
type streams struct {
	asked   *counted
	changes *access.Changes
	mu      sync.Mutex
	ended   map[string]error
}

// open opens n streams of as many people, who read the trail of one organization each, in a bubble
// of synctest.
func open(t *testing.T, n int) *streams {
	t.Helper()
	s := &streams{asked: &counted{}, changes: access.NewChanges(time.Now), ended: map[string]error{}}
	s.asked.reset()
	ctx, cancel := context.WithCancel(metadata.NewIncomingContext(t.Context(), metadata.Pairs("authorization", "Bearer good")))
	var running sync.WaitGroup
	for i := range n {
		who := fmt.Sprint(i)
		claims := token.Claims{Subject: who, ExpiresAt: time.Now().Add(24 * time.Hour)}
		g := access.Guard{Verifier: &verifier{claims}, Permissions: s.asked, Changes: s.changes, Recheck: access.DefaultRecheck, Now: time.Now}
		running.Go(func() {
			var standing access.Standing
			_, err := g.RunWhileAuthorized(ctx, claims, &standing, func(ctx context.Context) error {
				standing.Set([]access.Question{
					{Relation: "can_read_audit", Object: "organization:" + who}, {Relation: "can_read_audit", Object: "platform:gatehouse"},
				}, access.Object{})
				<-ctx.Done()
				return ctx.Err()
			})
			s.mu.Lock()
			defer s.mu.Unlock()
			s.ended[who] = err
		})
	}
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return s
}

func (s *streams) end(who string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended[who]
}

// tell lets the feed say something twice a second for so long, at first the changes.
func (s *streams) tell(long time.Duration, changes ...access.Change) {
	for until := time.Now().Add(long); time.Now().Before(until); pass(500 * time.Millisecond) {
		s.changes.Told(changes, false)
		changes = nil
	}
	synctest.Wait()
}

// pass lets time of the bubble pass.
func pass(d time.Duration) { <-time.After(d) }

const many = 10000

// 10,000 streams at rest ask at most 200 times a second, each of them once a minute.
func TestStreamsAtRestAskOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, many)
		s.tell(4 * time.Second)
		if all, _ := s.asked.questions(); all < many {
			t.Errorf("%d of %d asked again at first: what changed beside their opening is missed", all, many)
		}
		s.asked.reset()
		s.tell(2 * time.Minute)
		if all, most := s.asked.questions(); most > 200 || all < 2*many-200 || all > 2*many+200 {
			t.Errorf("%d streams ask %d times in two minutes, %d times in one second", many, all, most)
		}
	})
}

// A change lets those ask whom it may concern, within a turn, and nobody else.
func TestStreamsAskWhenSomethingChanged(t *testing.T) {
	for name, c := range map[string]struct {
		change access.Change
		asks   int
	}{
		"of one person":             {access.Change{Object: "organization:7", Subject: "user:7", From: []string{"user"}}, 1},
		"of one person elsewhere":   {access.Change{Object: "organization:8", Subject: "user:7", From: []string{"user"}}, 0},
		"of a member of a group":    {access.Change{Object: "group:g", Subject: "user:7", From: []string{"group", "organization"}}, 1},
		"of an organization":        {access.Change{Object: "organization:7", From: []string{"user"}}, 1},
		"of a group in another":     {access.Change{Object: "group:g", From: []string{"group", "organization"}}, 100},
		"of the platform":           {access.Change{Object: "platform:gatehouse", From: []string{"organization"}}, 100},
		"of what nobody asks about": {access.Change{Object: "user:7"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := open(t, 100)
				s.tell(4 * time.Second)
				s.asked.reset()
				s.tell(access.DefaultRecheck)
				idle, _ := s.asked.questions()
				s.asked.reset()
				s.tell(access.DefaultRecheck+time.Second, c.change)
				all, most := s.asked.questions()
				if all < c.asks || all > c.asks+idle+10 {
					t.Errorf("%d asked, want %d and those of the minute", all, c.asks)
				}
				if c.asks == 1 && s.asked.of("user:7") == 0 {
					t.Error("who is concerned did not ask")
				}
				if c.asks == 100 && most > 50 {
					t.Errorf("%d of 100 asked in one second", most)
				}
			})
		})
	}
}

// R63: whoever loses the permission loses the stream within 5 s, be the feed there, gone for
// longer, or gone a moment before it could tell.
func TestWhoLosesTheRightLosesTheStream(t *testing.T) {
	for name, tell := range map[string]func(s *streams){
		"told": func(s *streams) {
			s.tell(5*time.Second, access.Change{Object: "organization:7", Subject: "user:7"})
		},
		"the feed dies": func(*streams) { pass(5 * time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			for range 20 { // the change comes anywhere between two turns
				synctest.Test(t, func(t *testing.T) {
					s := open(t, 10)
					s.tell(20 * time.Second)
					s.asked.mu.Lock()
					s.asked.denied = "user:7"
					s.asked.mu.Unlock()
					tell(s)
					synctest.Wait()
					if err := s.end("7"); reasonOf(err) != apierr.PermissionDeniedError().Reason {
						t.Errorf("after 5 s the stream ended with %v", err)
					}
					if err := s.end("6"); err != nil {
						t.Errorf("another one's ended with %v", err)
					}
				})
			}
		})
	}
}

// Where nothing tells of changes, every stream asks at each of its turns.
func TestStreamsAskAtEachTurnWhileTheFeedIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, 300)
		s.tell(10 * time.Second)
		pass(2 * time.Second)
		s.asked.reset()
		pass(30 * time.Second)
		synctest.Wait()
		if all, most := s.asked.questions(); all < 2900 || all > 3100 || most > 130 {
			t.Errorf("300 streams asked %d times in 30 s, %d times in one second", all, most)
		}
	})
}
