package cluster_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// follower follows what one person does, on one stream after the other: each resumes where the last
// has ended.
type follower struct {
	l    *load
	who  *person
	stop context.CancelFunc
	done chan struct{}

	mu      sync.Mutex
	streams int            // that were opened
	lived   time.Duration  // the first
	ends    []string       // how streams ended
	seen    map[string]int // events by the request that made them
}

// follow begins to follow a person who then changes something a few times a second.
func (c *cluster) follow(t *testing.T, l *load) *follower {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	f := &follower{l: l, who: l.signUp(t), stop: stop, done: make(chan struct{}), seen: map[string]int{}}
	opened := make(chan struct{})
	var both sync.WaitGroup
	both.Go(func() { f.read(ctx, opened) })
	both.Go(func() {
		<-opened
		f.change(ctx)
	})
	go func() { both.Wait(); close(f.done) }()
	t.Cleanup(func() { stop(); <-f.done })
	return f
}

// change renames the person until the context ends.
func (f *follower) change(ctx context.Context) {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		w, _, _ := f.who.rename(f.l)
		f.mu.Lock()
		f.who.writes = append(f.who.writes, w)
		f.mu.Unlock()
	}
}

// read opens streams until the context ends and all is seen.
func (f *follower) read(ctx context.Context, opened chan<- struct{}) {
	cursor := ""
	for patience := time.Now().Add(10 * time.Minute); time.Now().Before(patience); {
		begun := time.Now()
		first := cursor == ""
		end := f.stream(ctx, &cursor, func() {
			if first {
				close(opened)
				first = false
			}
		})
		f.mu.Lock()
		if f.streams++; f.lived == 0 {
			f.lived = time.Since(begun)
		}
		f.ends = append(f.ends, fmt.Sprint(end))
		f.mu.Unlock()
		if ctx.Err() != nil {
			return
		}
		<-time.After(200 * time.Millisecond)
	}
}

// stream reads one stream to its end and moves the cursor on.
func (f *follower) stream(ctx context.Context, cursor *string, alive func()) error {
	query := url.Values{"actor_id": {f.who.id}, "action": {"user.updated"}}
	if *cursor != "" {
		query.Set("cursor", *cursor)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.l.url+"/api/v1/audit/events:tail?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	access, err := f.who.anew(f.l)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+access)
	resp, err := (&http.Client{Transport: f.l.client.Transport}).Do(req) // without a bound
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		var m struct {
			Event *struct {
				RequestID string `json:"request_id"`
			}
			Cursor string
			Error  json.RawMessage
		}
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil || m.Error != nil {
			return fmt.Errorf("the last line is %s", lines.Text())
		}
		alive()
		f.mu.Lock()
		if *cursor = m.Cursor; m.Event != nil {
			f.seen[m.Event.RequestID]++
		}
		f.mu.Unlock()
	}
	return lines.Err()
}

// lives wants the first stream to be open for so long.
func (f *follower) lives(t *testing.T, long time.Duration) {
	t.Helper()
	begun := time.Now()
	check.Within(t, long+30*time.Second, fmt.Sprintf("a stream lives for %s", long), func() error {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.streams > 0 {
			t.Fatalf("the stream has ended after %s: %v", f.lived, f.ends)
		}
		if time.Since(begun) < long || len(f.seen) == 0 {
			return fmt.Errorf("%d events after %s", len(f.seen), time.Since(begun))
		}
		return nil
	})
}

// complete ends the changes and wants each that was acknowledged to have been seen once, by more than
// one stream.
func (f *follower) complete(t *testing.T) {
	t.Helper()
	check.Within(t, 30*time.Second, "every change is seen", func() error {
		f.mu.Lock()
		defer f.mu.Unlock()
		missing := 0
		for _, w := range f.who.writes[:len(f.who.writes)*9/10] { // the last are under way
			if w.acknowledged && f.seen[w.request] == 0 {
				missing++
			}
		}
		if missing > 0 {
			return fmt.Errorf("%d of %d changes are missing; streams ended: %q", missing, len(f.who.writes), f.ends)
		}
		return nil
	})
	f.stop()
	<-f.done
	for request, n := range f.seen {
		if n > 1 {
			t.Errorf("the change of request %s was seen %d times", request, n)
		}
	}
	if f.streams < 2 {
		t.Error("the stream never ended: nothing has resumed")
	}
	t.Logf("%d changes seen by %d streams, which ended: %q", len(f.seen), f.streams, f.ends)
}
