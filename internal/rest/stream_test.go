package rest

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
	auditv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1"
)

// testForm is what grpcserver makes of messages.
func testForm() Form {
	return Form{
		Message: protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true},
		Stream:  protojson.MarshalOptions{UseProtoNames: true, EmitDefaultValues: true},
	}
}

const tailPath = "/api/v1/audit/events:tail"

func TestAccepted(t *testing.T) {
	for accept, want := range map[string]format{
		"": ndjson, "*/*": ndjson, "application/json": ndjson, "application/x-ndjson": ndjson, "text/event-stream": sse, "TEXT/Event-Stream": sse,
		"text/event-stream, */*": sse, "*/*, text/event-stream;q=0.9": sse, "text/event-stream;q=0.4, */*": ndjson, "text/event-stream;q=0": ndjson,
		"application/x-ndjson, text/event-stream": ndjson, "application/x-ndjson;q=0.5, text/event-stream": sse, "text/event-stream;q=2": ndjson,
		"text/html, text/event-stream;q=x": ndjson, ",,;": ndjson, "text/event-stream;q=NaN": ndjson, "application/x-ndjson;q=0, text/event-stream;q=0.1": sse,
	} {
		if got := accepted([]string{accept}); got != want {
			t.Errorf("%q: %s, want %s", accept, got, want)
		}
	}
	if got := accepted([]string{"text/html", "text/event-stream"}); got != sse {
		t.Errorf("two headers: %s", got)
	}
}

// What a service says cannot end a line of a stream: neither forged events nor forged fields of one come out of it.
func TestStreamsAreNotForged(t *testing.T) {
	const forged = "1\r\nevent: error\rdata: forged\n\nid: 2"
	for _, f := range []format{ndjson, sse} {
		m := &streamMarshaler{JSONPb: &runtime.JSONPb{MarshalOptions: testForm().Stream}, format: f}
		for name, message := range map[string]*auditv1.TailEventsResponse{
			"event":  {Cursor: "7", Event: &auditv1.Event{Id: forged, Reason: forged + "\u2028\u2029"}},
			"cursor": {Cursor: forged, Event: &auditv1.Event{Id: "1"}},
			"NUL":    {Cursor: "7\x00"},
		} {
			text, err := m.Marshal(map[string]any{"result": message})
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(text)) {
				prefix, _, _ := strings.Cut(line, ": ")
				if f == ndjson && (len(line) != len(text) || strings.ContainsAny(line, "\r\n")) ||
					f == sse && (!slices.Contains([]string{"id", "data", ""}, prefix) || strings.ContainsAny(line, "\r\x00") || name != "event" && prefix == "id") {
					t.Errorf("%s, %s: %q in %q", f, name, line, text)
				}
			}
		}
	}
}

// trickle is a tail whose messages come one after each pause.
type trickle struct {
	auditv1.AuditServiceClient
	messages int
	pause    time.Duration
	size     int
}

func (c trickle) TailEvents(ctx context.Context, _ *auditv1.TailEventsRequest, _ ...grpc.CallOption) (grpc.ServerStreamingClient[auditv1.TailEventsResponse], error) {
	return &trickling{ctx: ctx, trickle: c}, nil
}

type trickling struct {
	grpc.ClientStream
	ctx context.Context // as in gRPC's own streams
	trickle
	sent int
}

func (s *trickling) Header() (metadata.MD, error) { return nil, nil }

func (s *trickling) Recv() (*auditv1.TailEventsResponse, error) {
	if s.sent == s.messages {
		return nil, io.EOF
	}
	s.sent++
	select {
	case <-s.ctx.Done():
		return nil, s.ctx.Err()
	case <-time.After(s.pause):
		return &auditv1.TailEventsResponse{Cursor: "1", Event: &auditv1.Event{Reason: strings.Repeat("x", s.size)}}, nil
	}
}

// serveTail serves a tail behind a server with a short write timeout, and tells when it is over.
func serveTail(t *testing.T, tail trickle, now func() time.Time, http2 bool) (server *httptest.Server, over <-chan struct{}) {
	t.Helper()
	c := meshtest.Contract(t)
	h, err := NewHandler(testForm(), c.Methods(), nil, now, func(ctx context.Context, mux *runtime.ServeMux) error {
		return auditv1.RegisterAuditServiceHandlerClient(ctx, mux, tail)
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(done)
		route, _, err := h.find(r)
		if err != nil {
			t.Error(err)
			return
		}
		h.ServeHTTP(w, r.WithContext(withRoute(r.Context(), route)))
	}))
	server.Config.WriteTimeout = time.Second // which the handler may need to begin, on a busy machine
	if server.EnableHTTP2 = http2; http2 {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	return server, done
}

// A stream outlives the time that the server gives to ordinary responses.
func TestStreamHasNoWriteTimeout(t *testing.T) {
	for name, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, _ := serveTail(t, trickle{messages: 4, pause: 400 * time.Millisecond}, time.Now, http2)
			resp, err := server.Client().Get(server.URL + tailPath)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			lines := bufio.NewScanner(resp.Body)
			n := 0
			for lines.Scan() {
				n++
			}
			if lines.Err() != nil || n != 4 || resp.Proto != name {
				t.Errorf("%d lines over %s, then %v", n, resp.Proto, lines.Err())
			}
		})
	}
}

// A client that does not read is cut: it cannot hold the stream for ever.
func TestStreamToWhoDoesNotRead(t *testing.T) {
	behind := func() time.Time { return time.Now().Add(-slowest + 200*time.Millisecond) } // the time for one message is nearly over when it begins
	server, over := serveTail(t, trickle{messages: 1 << 30, size: 1 << 20}, behind, false)
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET "+tailPath+" HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-over:
	case <-time.After(10 * time.Second):
		t.Error("the stream goes on")
	}
}

// A client that leaves before the first message is not a failure of the program: the log and the
// metrics say 499, as of any other request.
func TestStreamToWhoLeftAtOnce(t *testing.T) {
	c := meshtest.Contract(t)
	ctx, leave := context.WithCancel(t.Context())
	h, err := NewHandler(Form{}, c.Methods(), nil, time.Now, func(ctx context.Context, mux *runtime.ServeMux) error {
		return auditv1.RegisterAuditServiceHandlerClient(ctx, mux, silent{left: leave})
	})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, tailPath, nil).WithContext(ctx)
	route, _, err := h.find(r)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r.WithContext(withRoute(ctx, route)))
	if w.Code != 499 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// silent is a tail whose client leaves while it waits for the first message.
type silent struct {
	auditv1.AuditServiceClient
	left func()
}

func (c silent) TailEvents(ctx context.Context, _ *auditv1.TailEventsRequest, _ ...grpc.CallOption) (grpc.ServerStreamingClient[auditv1.TailEventsResponse], error) {
	c.left()
	return &trickling{ctx: ctx, trickle: trickle{messages: 1, pause: time.Hour}}, nil
}
