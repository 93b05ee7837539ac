package registry_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// stuckSenders open streams that the callee reads no further than their first message, and send
// until nothing more can be sent.
func (w *way) stuckSenders(ctx context.Context, t testing.TB, n int) {
	t.Helper()
	var sent atomic.Int64
	for range n {
		stream, err := w.open(ctx, sink, 16<<10)
		check.NoError(t, err)
		go func() { // ends with ctx
			for stream.SendMsg(&wrapperspb.BytesValue{Value: make([]byte, 16<<10)}) == nil {
				sent.Add(1)
			}
		}()
	}
	check.Within(t, time.Minute, "all senders are stuck", func() error {
		before := sent.Load()
		<-time.After(300 * time.Millisecond)
		if more := sent.Load() - before; more > 0 {
			return fmt.Errorf("%d messages more", more)
		}
		return nil
	})
}

// A callee that does not read what some streams send holds up neither calls nor streams that only
// the callee sends: what was sent waits in windows that nobody else needs.
func (w *way) stuckSending(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w.stuckSenders(ctx, t, 4)
	for range 5 {
		check.NoError(t, w.echo(ctx)) // within 5 s
		bounded, leave := context.WithTimeout(ctx, 5*time.Second)
		stream, err := w.listen(bounded)
		if err == nil {
			err = stream.RecvMsg(&wrapperspb.BytesValue{})
		}
		check.NoError(t, err)
		leave()
	}
}
