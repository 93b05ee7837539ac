package grpcserver_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/internal/rpcstatus"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
)

// One program has its rate of one method: what it uses up is neither another program's nor another
// method's, and comes back with time.
func TestRates(t *testing.T) {
	d := newDemo(t)
	var now atomic.Int64
	now.Store(2_000_000_000)
	s := start(t, d, grpctest.Config{Now: func() time.Time { return time.Unix(now.Load(), 0) }})
	gateway, worker, stranger := s.As("gateway"), s.As("worker"), s.As("stranger")
	for range 2 {
		check.NoError(t, d.call(t.Context(), gateway, "Rare"))
	}
	err := d.call(t.Context(), gateway, "Rare")
	expect(t, err, codes.ResourceExhausted, "CALLER_RATE_LIMITED")
	if e := rpcstatus.ToError(status.Convert(err)); e.RetryAfter <= 0 {
		t.Error("the caller is not told when to come back")
	}
	check.NoError(t, d.call(t.Context(), worker, "Rare"))
	check.NoError(t, d.call(t.Context(), gateway, "Public"))
	for range 2 { // who may not call learns that, until they are too many
		expect(t, d.call(t.Context(), stranger, "Rare"), codes.PermissionDenied, "CALLER_NOT_ADMITTED")
	}
	expect(t, d.call(t.Context(), stranger, "Rare"), codes.ResourceExhausted, "CALLER_RATE_LIMITED")
	now.Add(1)
	check.NoError(t, d.call(t.Context(), gateway, "Rare"))
	expect(t, d.call(t.Context(), gateway, "Rare"), codes.ResourceExhausted, "CALLER_RATE_LIMITED")
}

// Open streams are counted for as long as they are open.
func TestRatesOfStreams(t *testing.T) {
	d, opened := newDemo(t), make(chan time.Duration, 3)
	d.stream = waits(opened)
	s := start(t, d, grpctest.Config{})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	first, end := context.WithCancel(ctx)
	open := func(ctx context.Context, program string) grpc.ClientStream {
		stream, err := d.open(ctx, s.As(program), "Few")
		check.NoError(t, err)
		return stream
	}
	open(first, "worker")
	<-opened
	expect(t, open(ctx, "worker").RecvMsg(d.message()), codes.ResourceExhausted, "CALLER_RATE_LIMITED")
	open(ctx, "stranger")
	<-opened // another program's
	end()
	check.Eventually(t, "the worker to have another stream", func() bool {
		stream := open(ctx, "worker")
		select {
		case <-opened:
			return true
		case <-ended(stream, d):
			return false
		}
	})
}

// ended tells when a stream has.
func ended(stream grpc.ClientStream, d *demo) <-chan struct{} {
	end := make(chan struct{})
	go func() {
		defer close(end)
		_ = stream.RecvMsg(d.message())
	}()
	return end
}
