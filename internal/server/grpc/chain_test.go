package grpcserver_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/rpcstatus"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
)

// logLines is a log that tests read while the server writes.
type logLines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// requests waits for so many access lines of a method, and returns them: the line of a call is
// written after its response has left.
func (l *logLines) requests(t *testing.T, method string, lines int) (found []map[string]any) {
	t.Helper()
	check.Eventually(t, fmt.Sprintf("%d lines of %s", lines, method), func() bool {
		found = l.of(t, method)
		return len(found) >= lines
	})
	return found
}

func (l *logLines) of(t *testing.T, method string) []map[string]any {
	t.Helper()
	var found []map[string]any
	for line := range strings.Lines(l.String()) {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatalf("log line %q: %v", line, err)
		}
		if record["msg"] == "grpc request" && record["method"] == method {
			found = append(found, record)
		}
	}
	return found
}

func TestValidation(t *testing.T) {
	d := newDemo(t)
	s := start(t, d, grpctest.Config{})
	err := d.call(t.Context(), s.As("gateway"), "Public", "text", "hunter2-hunter2")
	expect(t, err, codes.InvalidArgument, "INVALID_ARGUMENT")
	e := rpcstatus.ToError(status.Convert(err))
	if len(e.Fields) != 1 || e.Fields[0].Path != "text" || e.Fields[0].Rule != "string.max_len" || e.Fields[0].Description == "" {
		t.Errorf("violations are %+v", e.Fields)
	}
	if strings.Contains(status.Convert(err).Proto().String(), "hunter2") {
		t.Errorf("the answer repeats the value: %v", err)
	}
}

// R60, R74: what went wrong inside is logged once and never told.
func TestCausesStayInside(t *testing.T) {
	const secret = `dial tcp db.internal:5432: password "canary" refused`
	for name, c := range map[string]struct {
		unary  func(context.Context, *message) (*message, error)
		code   codes.Code
		reason string
	}{
		"unknown error": {func(context.Context, *message) (*message, error) { return nil, errors.New(secret) }, codes.Internal, "INTERNAL"},
		"cause": {func(context.Context, *message) (*message, error) {
			return nil, apierr.New(apierr.Unavailable, "DATABASE_UNAVAILABLE", "the database does not answer").Because(errors.New(secret))
		}, codes.Unavailable, "DATABASE_UNAVAILABLE"},
		"panic": {func(context.Context, *message) (*message, error) { panic(secret) }, codes.Internal, "INTERNAL"},
		"another program's status": {func(context.Context, *message) (*message, error) {
			return nil, status.Error(codes.InvalidArgument, secret)
		}, codes.Internal, "INTERNAL"},
		"another program is down": {func(context.Context, *message) (*message, error) {
			return nil, status.Error(codes.Unavailable, secret)
		}, codes.Unavailable, "UPSTREAM_UNAVAILABLE"},
	} {
		t.Run(name, func(t *testing.T) {
			d, log := newDemo(t), &logLines{}
			d.unary = c.unary
			s := start(t, d, grpctest.Config{Log: log})
			err := d.call(t.Context(), s.As("gateway"), "Public")
			expect(t, err, c.code, c.reason)
			if strings.Contains(status.Convert(err).Proto().String(), "canary") {
				t.Errorf("the cause was told: %v", err)
			}
			log.requests(t, demoPath+"Public", 1)
			if n := strings.Count(log.String(), "canary"); n != 1 {
				t.Errorf("the cause is in %d log lines, want 1:\n%s", n, log)
			}
		})
	}
}

func TestAccessLog(t *testing.T) {
	d, log := newDemo(t), &logLines{}
	s := start(t, d, grpctest.Config{Log: log})
	compact := s.Tokens.Sign(s.Tokens.Claims("user-1"))
	conn := s.Dial(request.CallerHeader, grpctest.SPIFFE("gateway"), "authorization", "Bearer "+compact, request.IDHeader, "req-1")
	if err := d.call(t.Context(), conn, "SignedIn"); err != nil {
		t.Fatal(err)
	}
	lines := log.requests(t, demoPath+"SignedIn", 1)
	if len(lines) != 1 {
		t.Fatalf("%d lines for one request:\n%s", len(lines), log)
	}
	for name, want := range map[string]any{"code": "OK", "caller": "gateway", "subject": "user-1", "request_id": "req-1", "level": "INFO"} {
		if lines[0][name] != want {
			t.Errorf("%s is %v, want %v", name, lines[0][name], want)
		}
	}
	if _, ok := lines[0]["duration_ms"].(float64); !ok {
		t.Errorf("no duration in %v", lines[0])
	}
	if strings.Contains(log.String(), compact) || strings.Contains(log.String(), compact[strings.LastIndex(compact, "."):]) {
		t.Error("the token is in the log")
	}

	if err := d.call(t.Context(), s.As("stranger"), "SignedIn"); err == nil {
		t.Fatal("a stranger was admitted")
	}
	if lines := log.requests(t, demoPath+"SignedIn", 2); len(lines) != 2 || lines[1]["reason"] != "CALLER_NOT_ADMITTED" || lines[1]["caller"] != "stranger" {
		t.Errorf("a refusal has the lines %v", lines)
	}
	if _, err := healthpb.NewHealthClient(s.Dial()).Check(t.Context(), &healthpb.HealthCheckRequest{}); err != nil {
		t.Fatal(err)
	}
	if lines := log.requests(t, "/grpc.health.v1.Health/Check", 1); len(lines) != 1 || lines[0]["level"] != "DEBUG" {
		t.Errorf("a health check has the lines %v", lines)
	}
}

func TestRequestID(t *testing.T) {
	d := newDemo(t)
	s := start(t, d, grpctest.Config{})
	for _, c := range []struct {
		name string
		ids  []string
		kept bool
	}{
		{"good", []string{"a-Z_9"}, true},
		{"none", nil, false},
		{"two", []string{"a", "b"}, false},
		{"forged line", []string{`a" level="error`}, false},
		{"too long", []string{strings.Repeat("a", 65)}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			pairs := []string{request.CallerHeader, grpctest.SPIFFE("gateway")}
			for _, id := range c.ids {
				pairs = append(pairs, request.IDHeader, id)
			}
			var trailer metadata.MD
			if err := s.Dial(pairs...).Invoke(t.Context(), demoPath+"Public", d.message(), d.message(), grpc.Trailer(&trailer)); err != nil {
				t.Fatal(err)
			}
			got := trailer.Get(request.IDHeader)
			if len(got) != 1 || got[0] == "" || (c.kept != (len(c.ids) == 1 && got[0] == c.ids[0])) {
				t.Errorf("request id is %q, want kept=%v", got, c.kept)
			}
		})
	}
}

// R54: the contract's deadline holds whatever the client asks for.
func TestDeadlineCap(t *testing.T) {
	d := newDemo(t)
	var left time.Duration
	d.unary = func(ctx context.Context, in *message) (*message, error) {
		until, ok := ctx.Deadline()
		if !ok {
			t.Error("no deadline")
		}
		left = time.Until(until)
		return in, nil
	}
	s := start(t, d, grpctest.Config{})
	for _, c := range []struct {
		method      string
		client, max time.Duration
	}{
		{"Public", time.Hour, 10 * time.Second},
		{"Public", 0, 10 * time.Second},
		{"Short", time.Hour, 2 * time.Second},
		{"Short", time.Second, time.Second},
	} {
		ctx := t.Context()
		if c.client > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, c.client)
			defer cancel()
		}
		if err := d.call(ctx, s.As("gateway"), c.method); err != nil {
			t.Fatal(err)
		}
		if left > c.max || left < c.max/2 {
			t.Errorf("%s with a client's %s has %s left, want about %s", c.method, c.client, left, c.max)
		}
	}
}

func TestDeadlineExceeded(t *testing.T) {
	d := newDemo(t)
	d.unary = func(ctx context.Context, _ *message) (*message, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	log := &logLines{}
	s := start(t, d, grpctest.Config{Log: log})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := d.call(ctx, s.As("gateway"), "Public"); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("answer is %v", err)
	}
}

// R54: a message larger than 4 MiB is refused.
func TestMessageLimit(t *testing.T) {
	d := newDemo(t)
	s := start(t, d, grpctest.Config{})
	err := d.call(t.Context(), s.As("gateway"), "Public", "text", strings.Repeat("a", contract.MaxMessage))
	expect(t, err, codes.ResourceExhausted, "RESOURCE_EXHAUSTED")
}

// R57: a path without its leading slash is not a method.
func TestPathWithoutSlash(t *testing.T) {
	d := newDemo(t)
	s := start(t, d, grpctest.Config{})
	for _, path := range []string{demoPath[1:] + "Public", "/" + demoPath + "Public", demoPath + "Public/", "/", "//"} {
		err := s.As("gateway").Invoke(t.Context(), path, d.message(), d.message())
		if status.Code(err) != codes.Unimplemented {
			t.Errorf("path %q answers %v", path, err)
		}
	}
}

// Each message of a stream is authorized and validated, also when the handler takes the refusal for the end of the stream.
func TestStreamMessages(t *testing.T) {
	d := newDemo(t)
	handled := make(chan string, 10)
	d.stream = func(s grpc.ServerStream) error {
		for {
			in := d.message()
			if err := s.RecvMsg(in); err != nil {
				return nil //nolint:nilerr // swallows the refusal
			}
			handled <- in.Get(in.Descriptor().Fields().ByName("id")).String()
			if err := s.SendMsg(in); err != nil {
				return err
			}
		}
	}
	s := start(t, d, grpctest.Config{})
	for _, c := range []struct {
		name   string
		second []string
		code   codes.Code
		reason string
	}{
		{"foreign", []string{"id", "somebody"}, codes.NotFound, "OBJECT_NOT_FOUND"},
		{"invalid", []string{"id", "me", "text", "too long"}, codes.InvalidArgument, "INVALID_ARGUMENT"},
	} {
		t.Run(c.name, func(t *testing.T) {
			stream, err := d.open(t.Context(), s.AsUser(s.Tokens.Claims("me")), "Chat")
			if err != nil {
				t.Fatal(err)
			}
			for i, pairs := range [][]string{{"id", "me"}, c.second} {
				if err := stream.SendMsg(d.message(pairs...)); err != nil {
					t.Fatal(err)
				}
				err := stream.RecvMsg(d.message())
				if i == 0 {
					if err != nil {
						t.Fatal(err)
					}
					if id := <-handled; id != "me" {
						t.Errorf("handled %q", id)
					}
					continue
				}
				expect(t, err, c.code, c.reason)
			}
			if len(handled) != 0 {
				t.Errorf("the handler saw the refused message of %q", <-handled)
			}
		})
	}
}

// waits is a stream that runs until its context ends.
func waits(opened chan<- time.Duration) func(grpc.ServerStream) error {
	return func(s grpc.ServerStream) error {
		left := time.Duration(0)
		if until, ok := s.Context().Deadline(); ok {
			left = time.Until(until)
		}
		opened <- left
		<-s.Context().Done()
		return s.Context().Err()
	}
}

// A long-lived stream has no deadline; a drain ends it in a way that clients resume from.
func TestDrainEndsLongLivedStreams(t *testing.T) {
	d, opened := newDemo(t), make(chan time.Duration, 1)
	d.stream = waits(opened)
	s := start(t, d, grpctest.Config{})
	stream, err := d.open(t.Context(), s.As("stranger"), "Watch")
	if err != nil {
		t.Fatal(err)
	}
	if left := <-opened; left != 0 {
		t.Errorf("the stream has a deadline in %s", left)
	}
	drained := make(chan error, 1)
	go func() { drained <- s.Drain(t.Context()) }()
	expect(t, stream.RecvMsg(d.message()), codes.Unavailable, "SHUTTING_DOWN")
	if err := <-drained; err != nil {
		t.Errorf("drain: %v", err)
	}
}

// A handler that waits for the next message of a stream notices the drain too: gRPC itself would leave it waiting.
func TestDrainWakesWaitingHandlers(t *testing.T) {
	d := newDemo(t)
	d.stream = echo(d)
	s := start(t, d, grpctest.Config{})
	stream, err := d.open(t.Context(), s.As("worker"), "Ingest")
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.SendMsg(d.message("id", "1")); err != nil {
		t.Fatal(err)
	}
	if err := stream.RecvMsg(d.message()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	drained := make(chan error, 1)
	go func() { drained <- s.Drain(ctx) }()
	expect(t, stream.RecvMsg(d.message()), codes.Unavailable, "SHUTTING_DOWN")
	if err := <-drained; err != nil {
		t.Errorf("drain: %v", err)
	}
}

// A drain waits for unary calls, but not longer than it may.
func TestDrainIsBounded(t *testing.T) {
	d, opened := newDemo(t), make(chan struct{})
	d.unary = func(ctx context.Context, in *message) (*message, error) {
		close(opened)
		<-ctx.Done()
		return in, nil
	}
	s := start(t, d, grpctest.Config{})
	conn, ended := s.As("gateway"), make(chan error, 1)
	go func() { ended <- d.call(t.Context(), conn, "Public") }()
	<-opened
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("drain: %v", err)
	}
	if err := <-ended; status.Code(err) != codes.Unavailable {
		t.Errorf("the call that was cut answers %v", err)
	}
}

// A stream lives no longer than the token that opened it.
func TestTokenEndsLongLivedStreams(t *testing.T) {
	d, opened := newDemo(t), make(chan time.Duration, 1)
	d.stream = waits(opened)
	expires := time.Unix(2_000_000_000, 0)
	clock := func() time.Time { return expires.Add(-200 * time.Millisecond) }
	s := start(t, d, grpctest.Config{Now: clock})
	claims := s.Tokens.Claims("me")
	claims.IssuedAt, claims.ExpiresAt = expires.Add(-time.Minute), expires
	stream, err := d.open(t.Context(), s.AsUser(claims), "Chat")
	if err != nil {
		t.Fatal(err)
	}
	if left := <-opened; left > 200*time.Millisecond {
		t.Errorf("the stream ends in %s", left)
	}
	expect(t, stream.RecvMsg(d.message()), codes.Unauthenticated, apierr.TokenExpired().Reason)
}

func TestStreamEndsCleanly(t *testing.T) {
	d := newDemo(t)
	d.stream = func(s grpc.ServerStream) error { return s.SendMsg(d.message("id", "last")) }
	s := start(t, d, grpctest.Config{})
	stream, err := d.open(t.Context(), s.As("stranger"), "Watch")
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.RecvMsg(d.message()); err != nil {
		t.Fatal(err)
	}
	if err := stream.RecvMsg(d.message()); !errors.Is(err, io.EOF) {
		t.Errorf("the end is %v", err)
	}
}
