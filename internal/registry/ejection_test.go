package registry_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/consul/sdk/freeport"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// A caller's sidecar leaves an instance alone that fails, and never all of them.
func TestAFailingInstanceIsLeftAlone(t *testing.T) {
	w := twoSidecars(t)
	t.Run("the only one", w.onlyOne)
	t.Run("one of two", w.oneOfTwo)
}

// fails lets a program answer every call of the mesh with UNAVAILABLE, while its health is good.
func fails(p *program, now bool) { p.broken.Store(now) }

// ejected asks Envoy how many instances of the callee it leaves alone.
func (w *way) ejected(t *testing.T) int {
	t.Helper()
	response, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/stats?format=json&filter=outlier_detection.ejections_active", w.caller.Admin))
	check.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	var stats struct {
		Stats []struct {
			Name  string
			Value int
		}
	}
	check.NoError(t, json.NewDecoder(response.Body).Decode(&stats))
	for _, s := range stats.Stats {
		if strings.HasPrefix(s.Name, "cluster.gatehouse-callee.") {
			return s.Value
		}
	}
	t.Fatalf("the callee's cluster has no outlier detection: %+v", stats)
	panic("unreachable")
}

// tried makes calls one after the other, past the client that tries again, and counts those that
// failed.
func tried(ctx context.Context, conn *grpc.ClientConn, calls int) (failed int, last error) {
	for range calls {
		bounded, cancel := context.WithTimeout(ctx, 5*time.Second)
		if err := conn.Invoke(bounded, echo, &wrapperspb.BytesValue{}, &wrapperspb.BytesValue{}); err != nil {
			failed, last = failed+1, err
		}
		cancel()
	}
	return failed, last
}

// The only instance is never left alone, however long it fails: as soon as it answers again, calls
// arrive.
func (w *way) onlyOne(t *testing.T) {
	conn := dial(t, w.caller.Upstreams[0].Port)
	fails(w.program, true)
	failed, err := tried(t.Context(), conn, 50)
	if failed != 50 || grpcstatus.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), broken) {
		t.Errorf("%d of 50 calls fail, the last with %v, which is not the callee's own", failed, err)
	}
	if n := w.ejected(t); n != 0 {
		t.Errorf("%d instances are left alone", n)
	}
	fails(w.program, false)
	if failed, err := tried(t.Context(), conn, 10); failed > 0 {
		t.Errorf("%d of 10 calls fail when it answers again: %v", failed, err)
	}
}

// Of two instances the one that fails is left alone after a few failures, and asked again later.
// Both are not.
func (w *way) oneOfTwo(t *testing.T) {
	second := w.secondCallee(t)
	conn := dial(t, w.caller.Upstreams[0].Port)
	both := func() (first, other int64) { return w.program.echoes.Load(), second.echoes.Load() }
	check.Within(t, 20*time.Second, "both instances are asked", func() error {
		first, other := both()
		if failed, err := tried(t.Context(), conn, 4); failed > 0 {
			return err
		}
		if a, b := both(); a == first || b == other {
			return fmt.Errorf("of 4 calls one instance got %d and the other %d", a-first, b-other)
		}
		return nil
	})

	fails(second, true)
	// Envoy gathers changes of a cluster for a second: this one comes soon after another.
	check.Within(t, 20*time.Second, "calls succeed, because the one that fails is left alone", func() error {
		if failed, err := tried(t.Context(), conn, 20); failed > 0 {
			return fmt.Errorf("%d of 20 fail: %w", failed, err)
		}
		if n := w.ejected(t); n != 1 {
			return fmt.Errorf("%d instances are left alone", n)
		}
		return nil
	})
	fails(w.program, true)
	for range 10 {
		if failed, err := tried(t.Context(), conn, 5); failed != 5 || !strings.Contains(err.Error(), broken) {
			t.Errorf("with both failing %d of 5 calls do, the last with %v, which is not the callee's own", failed, err)
		}
		if n := w.ejected(t); n > 1 {
			t.Errorf("%d instances are left alone", n)
		}
	}
	fails(w.program, false)
	fails(second, false)
	check.Within(t, 30*time.Second, "the instance is asked again", func() error {
		if failed, err := tried(t.Context(), conn, 4); failed > 0 {
			return err
		}
		if n := w.ejected(t); n != 0 {
			return fmt.Errorf("%d instances are left alone", n)
		}
		return nil
	})
}

// secondCallee runs another instance of the callee, with a sidecar.
func (w *way) secondCallee(t *testing.T) *program {
	t.Helper()
	p := freeport.GetN(t, 4)
	callee := mesh.Program{Name: "callee", Port: p[0], OpsPort: p[1], Public: p[2], Admin: p[3]}
	running := serve(t, callee.Port)
	keep(t, w.consul, &mesh.Definition{Programs: []mesh.Program{callee}}, "callee", 2)
	check.Within(t, 20*time.Second, "the second registration", func() error {
		_, _, err := w.consul.Agent().Service("gatehouse-callee-2-sidecar-proxy", nil)
		return err
	})
	envoy(t, w.consul, callee, 2)
	check.Within(t, 20*time.Second, "the second sidecar's check", func() error { return status(w.consul, "sidecar:gatehouse-callee-2", "passing") })
	return running
}

// broken is what a failing program answers.
const broken = "the program itself fails"

// counted is what answer does with a unary call.
func (p *program) counted() error {
	p.echoes.Add(1)
	if p.broken.Load() {
		return grpcstatus.Error(codes.Unavailable, broken)
	}
	return nil
}

// faults of a program.
type faults struct {
	broken atomic.Bool
	echoes atomic.Int64 // that arrived
}
