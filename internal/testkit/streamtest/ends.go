package streamtest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/gatehouse/gatehouse/internal/rpcstatus"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// end reads to the end of a stream and returns how it ended.
func (s *stream) end() error {
	for {
		if _, err := s.answer(); err != nil {
			return err
		}
	}
}

// want checks how a stream ended.
func want(t *testing.T, err error, code codes.Code, reason string) {
	t.Helper()
	got := ""
	if e := rpcstatus.ToError(status.Convert(err)); e != nil {
		got = e.Reason
	}
	if status.Code(err) != code || reason != "" && got != reason {
		t.Errorf("the stream ends with %s %q (%v), want %s %q", status.Code(err), got, err, code, reason)
	}
}

// deadline: the client's deadline ends the stream on both sides. It has to be short, and the first
// exchange has to fit, however busy the machine is: it is doubled until it does.
func deadline(t *testing.T, m *method) {
	for limit, calls := time.Second, 1; ; limit, calls = 2*limit, calls+1 {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		s, err := m.open(ctx, nil)
		if err == nil {
			if _, err = s.exchange(); err == nil {
				err = s.end()
				want(t, err, codes.DeadlineExceeded, "")
				m.ended(t, calls)
				return
			}
		}
		if limit > 30*time.Second || status.Code(err) != codes.DeadlineExceeded {
			t.Fatalf("nothing moves within %s: %v", limit, err)
		}
	}
}

// stuckClient: a client that does not read, or does not send, hurts nobody beside it on the same
// connection, and the drain does not wait for it.
func stuckClient(t *testing.T, m *method) {
	stuck := m.begin(t, t.Context())
	var sending sync.WaitGroup
	if m.desc.IsStreamingServer() {
		beside := m.begin(t, t.Context())
		if m.desc.IsStreamingClient() {
			sending.Go(func() { stuck.flood() })
			stuck.heldUp(t)
		} else {
			m.Flood()
		}
		for range 3 {
			_, err := beside.exchange()
			check.NoError(t, err)
		}
		defer func() { want(t, beside.end(), codes.Unavailable, "SHUTTING_DOWN") }()
	}
	if _, err := healthpb.NewHealthClient(m.Conn).Check(t.Context(), &healthpb.HealthCheckRequest{}); err != nil {
		t.Errorf("a call beside a client that does not read: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	check.NoError(t, m.Server.Drain(ctx)) // an error says that somebody was waited for until ctx ended
	m.ended(t, 1)
	sending.Wait()
	want(t, stuck.end(), codes.Unavailable, "") // what it has not read may have kept the reason from it
}

// flood sends until the stream ends.
func (s *stream) flood() {
	for s.Context().Err() == nil {
		if err := s.SendMsg(s.m.Request(int(s.sent.Add(1)))); err != nil {
			return
		}
	}
}

// heldUp waits until the stream sends no more: the server waits for its client to read.
func (s *stream) heldUp(t *testing.T) {
	t.Helper()
	before := int64(-1)
	check.Within(t, time.Minute, "the client is held up", func() error {
		select { // a client that is only slow is taken for one that is held up, which proves less but hurts nobody
		case <-time.After(time.Second):
		case <-s.Context().Done():
		}
		sent := s.sent.Load()
		if sent != before {
			before = sent
			return fmt.Errorf("it sends: %d messages so far", sent)
		}
		return nil
	})
}

// errorInTheMiddle: what fails after the first message ends the stream with its reason.
func errorInTheMiddle(t *testing.T, m *method) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s := m.begin(t, ctx)
	m.Break()
	if m.desc.IsStreamingClient() {
		check.NoError(t, s.send())
	}
	want(t, s.end(), m.BrokenCode, m.BrokenReason)
}

// resume: who goes on from a cursor is told what came after it, all of it, once and in order.
// Without a cursor a stream begins anew.
func resume(t *testing.T, m *method) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	first, leave := context.WithCancel(ctx)
	defer leave()
	if m.Resume == nil {
		m.begin(t, first)
		leave()
		m.begin(t, ctx)
		return
	}
	s, err := m.open(first, nil)
	check.NoError(t, err)
	var missed []string // what came after the cursor
	var last proto.Message
	for n := range 4 {
		key, err := s.exchange()
		check.NoError(t, err)
		if n < 2 {
			last = s.last
		} else {
			missed = append(missed, key)
		}
	}
	leave()
	missed = append(missed, m.Feed()) // while nobody reads
	s, err = m.open(ctx, m.Resume(last))
	check.NoError(t, err)
	missed = append(missed, m.Feed())
	var resumed []string
	for range missed {
		key, err := s.next()
		check.NoError(t, err)
		resumed = append(resumed, key)
	}
	if !slices.Equal(resumed, missed) {
		t.Errorf("resumed with %v, want %v", resumed, missed)
	}
}
