package grpcserver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/rpcstatus"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
)

// garbage is a codec whose messages are not protobuf.
type garbage struct{}

func (garbage) Marshal(any) ([]byte, error) { return []byte{0xff, 0xff, 0xff}, nil }
func (garbage) Unmarshal([]byte, any) error { return nil }
func (garbage) Name() string                { return "proto" }

// Whatever becomes of a call has one line, with the code and the reason that its client has, is
// counted by that code, and names the request in the log and to the client: also what fails before
// the request is decoded, or while the response is sent.
func TestTold(t *testing.T) {
	large := strings.Repeat("a", contract.MaxMessage)
	for name, c := range map[string]struct {
		method string
		text   string
		codec  []grpc.CallOption
		want   codes.Code
	}{
		"an oversized request": {method: demoPath + "Public", text: large, want: codes.ResourceExhausted},
		"an oversized answer":  {method: demoPath + "Public", want: codes.ResourceExhausted},
		"not protobuf":         {method: demoPath + "Public", codec: []grpc.CallOption{grpc.ForceCodec(garbage{})}, want: codes.Internal},
		"an unknown method":    {method: demoPath + "Missing", want: codes.Unimplemented},
		"an unknown service":   {method: "/gatehouse.nobody.v1.Service/Get", want: codes.Unimplemented},
	} {
		t.Run(name, func(t *testing.T) {
			d, log, registry := newDemo(t), &logLines{}, prometheus.NewRegistry()
			d.unary = func(context.Context, *message) (*message, error) { return d.message("text", large), nil }
			s := start(t, d, grpctest.Config{Log: log, Registry: registry})
			var trailer metadata.MD
			err := s.Through("gateway", "req-7").Invoke(t.Context(), c.method, d.message("text", c.text), d.message(),
				append(c.codec, grpc.Trailer(&trailer), grpc.MaxCallSendMsgSize(2*contract.MaxMessage))...)
			told(t, log, registry, c.method, c.want, err, trailer)
		})
	}
}

// A message of a stream that gRPC itself refuses is answered at once, whatever the handler makes of
// it.
func TestRefusedMessagesAreTold(t *testing.T) {
	d, log, registry := newDemo(t), &logLines{}, prometheus.NewRegistry()
	d.stream = func(s grpc.ServerStream) error {
		if err := s.RecvMsg(d.message()); err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		return nil
	}
	s := start(t, d, grpctest.Config{Log: log, Registry: registry})
	stream, err := d.open(t.Context(), s.Through("worker", "req-7"), "Ingest")
	check.NoError(t, err)
	if err := stream.SendMsg(d.message("id", strings.Repeat("a", contract.MaxMessage))); err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	err = stream.RecvMsg(d.message())
	told(t, log, registry, demoPath+"Ingest", codes.ResourceExhausted, err, stream.Trailer())
}

// told checks what is told of the one call that ended with err.
func told(t *testing.T, log *logLines, registry *prometheus.Registry, method string, want codes.Code, err error, trailer metadata.MD) {
	t.Helper()
	e := rpcstatus.ToError(status.Convert(err))
	if status.Code(err) != want || e == nil {
		t.Fatalf("the answer is %v", err)
	}
	lines := log.requests(t, method, 1)
	if line := lines[0]; len(lines) != 1 || line["code"] != want.String() || line["reason"] != e.Reason || line["request_id"] != "req-7" {
		t.Errorf("told as %v, the client has %s %s", lines, want, e.Reason)
	}
	if id := trailer.Get(request.IDHeader); len(id) != 1 || id[0] != "req-7" {
		t.Errorf("the client is told the request id %v", id)
	}
	wantHandled(t, registry, want, 1)
}

// wantHandled waits until so many calls have ended with a code, of methods that the server does not
// have if it is Unimplemented. Calls are counted after their answers were written.
func wantHandled(t *testing.T, registry *prometheus.Registry, code codes.Code, want float64) {
	t.Helper()
	check.Eventually(t, fmt.Sprintf("%v calls are counted as %s", want, code), func() bool {
		families, err := registry.Gather()
		check.NoError(t, err)
		n := 0.0
		for _, f := range families {
			for _, m := range f.GetMetric() {
				labels := map[string]string{}
				for _, l := range m.GetLabel() {
					labels[l.GetName()] = l.GetValue()
				}
				if f.GetName() == "grpc_server_handled_total" && labels["grpc_code"] == code.String() &&
					(labels["grpc_method"] == "other") == (code == codes.Unimplemented) {
					n += m.GetCounter().GetValue()
				}
			}
		}
		return n == want
	})
}

// Names that nobody serves are not kept, however many are called.
func TestUnknownMethodsAreCountedAsOne(t *testing.T) {
	d, registry := newDemo(t), prometheus.NewRegistry()
	s := start(t, d, grpctest.Config{Registry: registry})
	conn := s.As("gateway")
	for i := range 5 {
		expect(t, conn.Invoke(t.Context(), fmt.Sprintf("/service%d/Method%d", i, i), d.message(), d.message()), codes.Unimplemented, "UNIMPLEMENTED")
	}
	wantHandled(t, registry, codes.Unimplemented, 5)
}

// A path that cannot be a method has a line too, though gRPC does not even begin the call.
func TestMalformedPathsAreTold(t *testing.T) {
	d, log := newDemo(t), &logLines{}
	s := start(t, d, grpctest.Config{Log: log})
	if err := s.Through("gateway", "req-9").Invoke(t.Context(), "/", d.message(), d.message()); status.Code(err) != codes.Unimplemented {
		t.Fatalf("the answer is %v", err)
	}
	line := log.requests(t, "(malformed)", 1)[0]
	if line["code"] != "Unimplemented" || line["reason"] != "UNIMPLEMENTED" || line["request_id"] != "req-9" {
		t.Errorf("told as %v", line)
	}
}
