package registry_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// hold makes a unary call that the callee answers only by its end.
func (w *way) hold(ctx context.Context) error {
	return w.conn.Invoke(ctx, sink, &wrapperspb.BytesValue{}, &wrapperspb.BytesValue{})
}

// Calls that their callers give up within their first second look like an attack to Envoy when they
// are half of all of a connection: it closes the connection. A call that is under way then is
// answered as if the callee were gone, and may be repeated; the next one is answered.
func (w *way) givenUp(t *testing.T) {
	const atOnce, most = 25, 1000
	bystander := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	go func() { bystander <- w.hold(ctx) }()
	for given := 0; ; given += atOnce {
		select {
		case err := <-bystander:
			if grpcstatus.Code(err) != codes.Unavailable {
				t.Errorf("after %d calls were given up another one is answered %v", given, err)
			}
			t.Logf("after %d calls: %v", given, err)
			check.NoError(t, w.echo(t.Context()))
			return
		default:
		}
		if given > most {
			t.Fatalf("%d calls were given up, and Envoy closes nothing: ADR 0062 says otherwise", given)
		}
		var calls sync.WaitGroup
		for range atOnce {
			calls.Go(func() {
				soon, leave := context.WithTimeout(ctx, 100*time.Millisecond)
				defer leave()
				_ = w.hold(soon)
			})
		}
		calls.Wait()
	}
}
