package grpcserver_test

import (
	"sync/atomic"
	"testing"
	"time"

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
	first, err := d.open(t.Context(), s.As("worker"), "Few")
	check.NoError(t, err)
	<-opened
	second, err := d.open(t.Context(), s.As("worker"), "Few")
	check.NoError(t, err)
	expect(t, second.RecvMsg(d.message()), codes.ResourceExhausted, "CALLER_RATE_LIMITED")
	if _, err = d.open(t.Context(), s.As("stranger"), "Few"); err != nil {
		t.Fatal(err)
	}
	<-opened // another program's
	check.NoError(t, first.CloseSend())
}
