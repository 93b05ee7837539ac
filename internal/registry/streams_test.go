package registry_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
)

// A caller reaches a callee through two real sidecars that are configured by nothing but the
// entries and the registrations.
func TestSidecarsFromTheRegistration(t *testing.T) {
	w := twoSidecars(t)
	check.Within(t, 10*time.Second, "sidecar's check", func() error { return status(w.consul, "sidecar:gatehouse-callee", "passing") })
	t.Run("windows", w.windows)
	t.Run("more than 1,024 streams", w.manyStreams)
	t.Run("stuck readers", w.stuck)
	t.Run("stuck senders", w.stuckSending)
	t.Run("trailers of a request", w.trailers)
	t.Run("trailers without a sidecar", w.trailersWithoutASidecar)
	t.Run("calls that are given up", w.givenUp)
	t.Run("a killed callee", w.killedCallee) // last
}

// cluster is what of an Envoy cluster says its windows: the caller's by the deprecated field, which
// Envoy must still read, the callee's by the one that replaced it.
type cluster struct {
	Name       string          `json:"name"`
	Deprecated json.RawMessage `json:"http2_protocol_options"`
	Options    map[string]struct {
		Explicit struct {
			HTTP2 json.RawMessage `json:"http2_protocol_options"`
		} `json:"explicit_http_config"`
	} `json:"typed_extension_protocol_options"`
	Common struct {
		Idle string `json:"idle_timeout"`
	} `json:"common_http_protocol_options"`
	Apart bool            `json:"connection_pool_per_downstream_connection"`
	TLS   json.RawMessage `json:"transport_socket"`
}

// clusters are those of a sidecar that Consul told it.
func clusters(t *testing.T, admin int) []cluster {
	t.Helper()
	response, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/config_dump?resource=dynamic_active_clusters", admin))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var dump struct {
		Configs []struct {
			Cluster cluster `json:"cluster"`
		} `json:"configs"`
	}
	if err := json.NewDecoder(response.Body).Decode(&dump); err != nil {
		t.Fatal(err)
	}
	var all []cluster
	for _, c := range dump.Configs {
		all = append(all, c.Cluster)
	}
	return all
}

// Both sides of a hop bound what a reader that does not read can hold; the database's connections
// are as Consul makes them.
func (w *way) windows(t *testing.T) {
	find := func(admin int, prefix string) cluster {
		t.Helper()
		all := clusters(t, admin)
		i := slices.IndexFunc(all, func(c cluster) bool { return strings.Contains("~"+c.Name, "~"+prefix) })
		if i < 0 {
			t.Fatalf("there is no cluster %s", prefix)
		}
		return all[i]
	}
	says := func(options json.RawMessage) bool {
		var w struct {
			Stream     int `json:"initial_stream_window_size"`
			Connection int `json:"initial_connection_window_size"`
		}
		return json.Unmarshal(options, &w) == nil && w.Stream == 64<<10 && w.Connection == 1<<30
	}
	if c := find(w.caller.Admin, "gatehouse-callee."); !says(c.Deprecated) || len(c.Options) > 0 || len(c.TLS) == 0 {
		t.Errorf("the caller's sidecar has %s and %v, TLS %s", c.Deprecated, c.Options, c.TLS)
	} else if !c.Apart || c.Common.Idle != "120s" {
		t.Errorf("the caller's sidecar shares connections (%t) and closes them after %s", !c.Apart, c.Common.Idle)
	}
	if c := find(w.caller.Admin, "gatehouse-postgres."); len(c.Deprecated) > 0 || len(c.Options) > 0 || len(c.TLS) == 0 {
		t.Errorf("the caller's sidecar has %s and %v for the database", c.Deprecated, c.Options)
	}
	local := find(w.callee.Admin, "local_app")
	if !says(local.Options["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"].Explicit.HTTP2) {
		t.Errorf("the callee's sidecar has %v", local.Options)
	}
}

// A program opens more streams than the 1,024 that Envoy admits to one connection, and to one
// cluster by default, and calls go on meanwhile. The streams end in order: of streams that live
// less than a second Envoy takes 500 resets for an attack, and closes the connection.
func (w *way) manyStreams(t *testing.T) {
	const streams = 1500
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var opening, ending sync.WaitGroup
	opening.Add(streams)
	end, turn := make(chan struct{}), make(chan struct{}, 50)
	for i := range streams {
		ending.Go(func() {
			turn <- struct{}{} // a busy machine's sidecars have 2 s to connect, beside the streams that open
			stream, err := w.open(ctx, ingest, 1)
			if err == nil {
				err = stream.RecvMsg(&wrapperspb.BytesValue{})
			}
			<-turn
			opening.Done()
			<-end
			if err == nil {
				err = stream.CloseSend()
			}
			if err == nil {
				err = stream.RecvMsg(&wrapperspb.BytesValue{})
			}
			if !errors.Is(err, io.EOF) {
				t.Errorf("stream %d: %v", i, err)
			}
		})
	}
	opening.Wait()
	check.NoError(t, w.echo(t.Context()))
	close(end)
	ending.Wait()
	// The control: what the sidecar does not admit is answered by it, so the calls went through it.
	err := w.conn.Invoke(t.Context(), "/none.v1.None/None", &wrapperspb.BytesValue{}, &wrapperspb.BytesValue{})
	if grpcstatus.Code(err) != codes.PermissionDenied {
		t.Errorf("an undeclared method answers %v", err)
	}
}

// Readers that do not read hold up nobody: neither calls nor who sends much.
func (w *way) stuck(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w.stuckReaders(ctx, t, 16)
	sender, err := w.open(ctx, ingest, 1<<20)
	check.NoError(t, err)
	for range 50 {
		check.NoError(t, w.echo(ctx)) // within 5 s
		began, m := time.Now(), &wrapperspb.BytesValue{}
		if err := sender.RecvMsg(m); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("an answer to who sends much took %s", took)
		}
		check.NoError(t, sender.SendMsg(m))
	}
}

// goesOn fails unless an open stream does.
func goesOn(t *testing.T, stream grpc.ClientStream) {
	t.Helper()
	m := &wrapperspb.BytesValue{}
	check.NoError(t, stream.SendMsg(m))
	check.NoError(t, stream.RecvMsg(m))
}

// Trailers of a request end at the callee's sidecar: the request is answered, and streams of others
// go on.
func (w *way) trailers(t *testing.T) {
	stream, err := w.open(t.Context(), ingest, 1)
	check.NoError(t, err)
	check.NoError(t, stream.RecvMsg(&wrapperspb.BytesValue{}))
	for range 3 {
		if answer, err := grpctest.WithTrailers(t.Context(), w.caller.Upstreams[0].Port, echo); err != nil || answer != "0" {
			t.Errorf("the request is answered with %q, %v", answer, err)
		}
		goesOn(t, stream)
	}
}

// Past the mesh gRPC closes the connection that brings trailers. It is the peer's own: nobody else
// notices.
func (w *way) trailersWithoutASidecar(t *testing.T) {
	other := dial(t, w.callee.Port)
	stream, err := other.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, ingest)
	check.NoError(t, err)
	goesOn(t, stream)
	for range 3 {
		if answer, err := grpctest.WithTrailers(t.Context(), w.callee.Port, echo); err == nil {
			t.Errorf("the request is answered with %q: its trailers need not end at the sidecar any more", answer)
		}
		goesOn(t, stream)
	}
}

// A stream that is cut because the callee died is told as the callee's absence, as is a call.
func (w *way) killedCallee(t *testing.T) {
	var streams []grpc.ClientStream
	for range 3 {
		stream, err := w.open(t.Context(), ingest, 1)
		check.NoError(t, err)
		check.NoError(t, stream.RecvMsg(&wrapperspb.BytesValue{}))
		streams = append(streams, stream)
	}
	w.program.server.Stop()
	for _, stream := range streams {
		if err := stream.RecvMsg(&wrapperspb.BytesValue{}); grpcstatus.Code(err) != codes.Unavailable {
			t.Errorf("the stream ends with %v", err)
		}
	}
	if err := w.echo(t.Context()); grpcstatus.Code(err) != codes.Unavailable {
		t.Errorf("a call answers %v", err)
	}
}
