package crash_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse/gatehouse/internal/loop"
)

// follower follows a resumable stream through the gateway as a client would: when it breaks, it
// goes on after the last message that was whole.
type follower struct {
	name, base, path, token string
	records                 bool // server-sent events, which resume by Last-Event-ID
	done                    chan struct{}

	mu     sync.Mutex
	told   []message      // without signs of life
	heard  int            // messages, signs of life included
	opened int            // streams that said something
	broke  map[string]int // what they ended with, and refused ones
	end    error          // of all; nil when the test ended it
}

// message is one of a stream: an event, a user, one who is gone, or a sign of life.
type message struct {
	Event   *struct{ ID string }
	User    *told
	Deleted *struct{ ID string }
	Cursor  string
	Error   *refusal
}

// told is what of a user is compared.
type told struct {
	ID   string
	Etag string
	Name string `json:"display_name"`
}

// number is the one that a user is called, which only grows.
func (u told) number() int {
	n, _ := strconv.Atoi(u.Name) // others are told once
	return n
}

// refusal is a problem document.
type refusal struct {
	Status int
	Reason string
}

func (r *refusal) Error() string { return fmt.Sprintf("%d %s", r.Status, r.Reason) }

// follow follows until ctx ends or no further attempt can change the answer.
func (f *follower) follow(ctx context.Context) {
	defer close(f.done)
	err := loop.Resume(ctx, loop.Stream{
		Silence: 15 * time.Second, Read: f.read, Told: f.wasBroken,
		Final: func(err error) bool {
			var r *refusal
			return errors.As(err, &r) && r.Status < 500
		},
	})
	f.mu.Lock()
	defer f.mu.Unlock()
	f.end = err
}

func (f *follower) wasBroken(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var r *refusal
	if !errors.As(err, &r) {
		f.broke["the connection"]++
		return
	}
	f.broke[r.Error()]++
}

// read is one stream.
func (f *follower) read(ctx context.Context, cursor string, heard func(string)) error {
	path, header := f.path, http.Header{"Authorization": {"Bearer " + f.token}}
	switch {
	case f.records && cursor != "":
		header.Set("Last-Event-ID", cursor)
	case cursor != "":
		path += "&cursor=" + url.QueryEscape(cursor)
	}
	if f.records {
		header.Set("Accept", "text/event-stream")
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, f.base+path, nil)
	if err != nil {
		return err
	}
	r.Header = header
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		refused := &refusal{}
		if err := json.NewDecoder(answer.Body).Decode(refused); err != nil {
			return fmt.Errorf("%d without a problem document: %w", answer.StatusCode, err)
		}
		return refused
	}
	first := true
	return f.messages(answer.Body, func(m message) {
		f.take(m, first)
		first = false
		heard(m.Cursor)
	})
}

func (f *follower) take(m message, first bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.heard++
	if first {
		f.opened++
	}
	if m.Event != nil || m.User != nil || m.Deleted != nil {
		f.told = append(f.told, m)
	}
}

// messages hands over each message of a body that is whole; the error is that which ended it.
func (f *follower) messages(body io.Reader, each func(message)) error {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 1<<20)
	record := map[string]string{}
	for lines.Scan() {
		line, m := lines.Text(), message{}
		switch name, value, _ := strings.Cut(line, ": "); {
		case !f.records:
			record["data"] = line
		case line != "":
			record[name] = value
			continue
		case record["event"] == "error":
			record["data"] = `{"error":` + record["data"] + `}`
		}
		if data := record["data"]; data != "" {
			if err := json.Unmarshal([]byte(data), &m); err != nil {
				return err
			}
		}
		if m.Error != nil {
			return m.Error
		}
		if f.records {
			m.Cursor = record["id"]
		}
		each(m)
		clear(record)
	}
	return lines.Err()
}

// state is what a follower has heard.
func (f *follower) state() (heard, opened int, told []message, broke map[string]int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.heard, f.opened, slices.Clone(f.told), maps.Clone(f.broke)
}

// over reports whether the follower has ended, and with what.
func (f *follower) over() (bool, error) {
	select {
	case <-f.done:
		f.mu.Lock()
		defer f.mu.Unlock()
		return true, f.end
	default:
		return false, nil
	}
}
