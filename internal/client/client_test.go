package client_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/gatehouse/gatehouse/consul"
	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/client"
	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/request"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	"github.com/gatehouse/gatehouse/internal/token"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// auth is an Auth under the test's control.
type auth struct {
	authv1.UnimplementedVerificationServiceServer
	authv1.UnimplementedAuthServiceServer

	keys  func(ctx context.Context) (*authv1.GetKeySetResponse, error)
	watch func(s grpc.ServerStreamingServer[authv1.WatchRevocationsResponse]) error
	calls atomic.Int32
}

func (a *auth) GetKeySet(ctx context.Context, _ *authv1.GetKeySetRequest) (*authv1.GetKeySetResponse, error) {
	a.calls.Add(1)
	return a.keys(ctx)
}

func (a *auth) WatchRevocations(_ *authv1.WatchRevocationsRequest, s grpc.ServerStreamingServer[authv1.WatchRevocationsResponse]) error {
	return a.watch(s)
}

func (a *auth) SignIn(context.Context, *authv1.SignInRequest) (*authv1.SignInResponse, error) {
	a.calls.Add(1)
	return nil, apierr.New(apierr.Unavailable, "DATABASE_UNAVAILABLE", "the database does not answer")
}

// connect serves a and returns a connection to it as the program's, through what stands for a pair of sidecars.
func connect(t *testing.T, a *auth, program string) *grpc.ClientConn {
	t.Helper()
	s := grpctest.New(t, grpctest.Config{Program: "auth", Registrations: []grpcserver.Registration{
		{Desc: &authv1.VerificationService_ServiceDesc, Impl: a}, {Desc: &authv1.AuthService_ServiceDesc, Impl: a},
	}})
	contracts, err := contract.Load(protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	def, err := consul.Definition()
	if err != nil {
		t.Fatal(err)
	}
	conns := client.NewConns(def, 0, program, client.Options{Contract: contracts, Dial: s.DialOptions(request.CallerHeader, grpctest.SPIFFE(program))})
	t.Cleanup(func() {
		if err := conns.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	conn, err := conns.Conn(client.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := conns.Conn(client.Issuer); err != nil || again != conn {
		t.Errorf("a second connection is made: %v", err)
	}
	return conn
}

func TestDialRefusesWhatNoContractDeclares(t *testing.T) {
	def, err := consul.Definition()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ program, upstream string }{{"nobody", "auth"}, {"auth", "gateway"}, {"auth", "auth"}} {
		if _, err := client.Dial(def, 0, c.program, c.upstream, client.Options{}); err == nil {
			t.Errorf("%s may dial %s", c.program, c.upstream)
		}
	}
}

func TestKeySet(t *testing.T) {
	a := &auth{keys: func(context.Context) (*authv1.GetKeySetResponse, error) {
		return &authv1.GetKeySetResponse{
			Keys:   []*authv1.JsonWebKey{{Kty: "EC", Use: "sig", Alg: "ES256", Kid: "k", Crv: "P-256", X: "x", Y: "y"}},
			MaxAge: durationpb.New(time.Minute),
		}, nil
	}}
	set, err := client.KeySet(client.Verification(connect(t, a, "identity")))(t.Context())
	want := token.JWK{KTY: "EC", Use: "sig", Alg: "ES256", KID: "k", CRV: "P-256", X: "x", Y: "y"}
	if err != nil || set.MaxAge != time.Minute || len(set.Keys) != 1 || set.Keys[0].KID != want.KID || set.Keys[0].X != "x" || set.Keys[0].Y != "y" ||
		set.Keys[0].KTY != "EC" || set.Keys[0].Use != "sig" || set.Keys[0].Alg != "ES256" || set.Keys[0].CRV != "P-256" {
		t.Errorf("set is %+v, %v, want %+v", set, err, want)
	}
}

// Only what the contract says is idempotent is tried again, only on UNAVAILABLE, and twice at most.
func TestRetries(t *testing.T) {
	down := apierr.New(apierr.Unavailable, "DATABASE_UNAVAILABLE", "the database does not answer")
	for _, c := range []struct {
		name     string
		fail     int32
		err      error
		attempts int32
		ok       bool
	}{
		{"a short fault is not seen", 2, down, 3, true},
		{"a long fault is told", 9, down, 3, false},
		{"other errors are not tried again", 9, apierr.New(apierr.ResourceExhausted, "BUSY", "busy"), 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := &auth{}
			a.keys = func(context.Context) (*authv1.GetKeySetResponse, error) {
				if a.calls.Load() <= c.fail {
					return nil, c.err
				}
				return &authv1.GetKeySetResponse{}, nil
			}
			_, err := client.Verification(connect(t, a, "identity")).GetKeySet(t.Context(), &authv1.GetKeySetRequest{})
			if (err == nil) != c.ok || a.calls.Load() != c.attempts {
				t.Errorf("%d attempts end with %v, want %d, ok=%v", a.calls.Load(), err, c.attempts, c.ok)
			}
			if !c.ok && status.Convert(err).Message() != grpcserver.ToStatus(c.err).Message() {
				t.Errorf("the client is told %q", status.Convert(err).Message())
			}
		})
	}
	a := &auth{}
	_, err := authv1.NewAuthServiceClient(connect(t, a, "gateway")).SignIn(t.Context(), &authv1.SignInRequest{Email: "a@example.com", Password: "p"})
	if e := grpcserver.FromStatus(status.Convert(err)); e == nil || e.Reason != "DATABASE_UNAVAILABLE" || a.calls.Load() != 1 {
		t.Errorf("a call that is not idempotent was tried %d times: %v", a.calls.Load(), err)
	}
}

// Every call has the deadline of its contract, without a word of its caller.
func TestDeadlineAndRequestID(t *testing.T) {
	a := &auth{keys: func(ctx context.Context) (*authv1.GetKeySetResponse, error) {
		if until, ok := ctx.Deadline(); !ok || time.Until(until) > contract.DefaultTimeout {
			t.Errorf("deadline is %v, %v", until, ok)
		}
		if id := request.ID(ctx); id != "req-7" {
			t.Errorf("request id is %q", id)
		}
		if sent := metadata.ValueFromIncomingContext(ctx, "grpc-timeout"); len(sent) != 0 {
			t.Errorf("grpc-timeout is metadata: %v", sent)
		}
		return &authv1.GetKeySetResponse{}, nil
	}}
	ctx := request.WithID(t.Context(), "req-7")
	if _, err := client.Verification(connect(t, a, "identity")).GetKeySet(ctx, &authv1.GetKeySetRequest{}); err != nil {
		t.Fatal(err)
	}
}

func TestPeerDownIsUnavailable(t *testing.T) {
	contracts, err := contract.Load(protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	def, err := consul.Definition()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := client.Dial(def, 0, "identity", "auth", client.Options{Contract: contracts, Dial: []grpc.DialOption{
		grpc.WithContextDialer(refuse),
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	began := time.Now()
	_, err = client.Verification(conn).GetKeySet(t.Context(), &authv1.GetKeySetRequest{})
	if status.Code(err) != codes.Unavailable || time.Since(began) > 3*time.Second {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
}

// refuse is a loopback port on which nobody listens.
func refuse(context.Context, string) (net.Conn, error) { return nil, syscall.ECONNREFUSED }

// A set comes in several messages: until it is complete the list says of no session that it has not ended, and what it knew before the
// stream was cut stays known while the set is sent anew.
func TestFollowRevocations(t *testing.T) {
	step := make(chan *authv1.WatchRevocationsResponse)
	a := &auth{watch: func(s grpc.ServerStreamingServer[authv1.WatchRevocationsResponse]) error {
		for {
			select {
			case m := <-step:
				if m == nil {
					return io.ErrUnexpectedEOF
				}
				if err := s.Send(m); err != nil {
					return err
				}
			case <-s.Context().Done():
				return s.Context().Err()
			}
		}
	}}
	var skipped atomic.Int64 // nanoseconds that the list's clock is ahead
	list := token.NewRevocationList(func() time.Time { return time.Now().Add(time.Duration(skipped.Load())) })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	feed := client.NewFeed(client.Verification(connect(t, a, "identity")), list, slog.New(slog.DiscardHandler))
	go func() {
		defer close(done)
		feed(ctx)
	}()
	send := func(complete bool, session string) {
		t.Helper()
		expire := timestamppb.New(time.Now().Add(time.Hour))
		step <- &authv1.WatchRevocationsResponse{Complete: complete, Revocations: []*authv1.Revocation{{SessionId: session, ExpireTime: expire}}}
		eventually(t, func() bool { ended, err := list.Revoked(session); return err == nil && ended })
	}
	unknown := func(when, session string) {
		t.Helper()
		if ended, err := list.Revoked(session); err == nil {
			t.Errorf("%s the list answers %v", when, ended)
		}
	}
	unknown("before the feed", "c")
	send(false, "a")
	unknown("after the first of three messages", "c")
	send(false, "b")
	unknown("after the second of three messages", "c")
	send(true, "c")
	if ended, err := list.Revoked("other"); ended || err != nil {
		t.Errorf("a complete list answers %v, %v", ended, err)
	}
	send(true, "d") // news
	step <- nil     // cuts the stream
	skipped.Store(int64(token.StaleAfter + time.Second))
	send(false, "e")
	unknown("after the first message of a new stream", "other")
	send(true, "f")
	for _, session := range []string{"a", "b", "c", "d", "e", "f"} {
		if ended, err := list.Revoked(session); !ended || err != nil {
			t.Errorf("session %s is revoked: %v, %v", session, ended, err)
		}
	}
	if ended, err := list.Revoked("other"); ended || err != nil {
		t.Errorf("a complete list answers %v, %v", ended, err)
	}
	cancel()
	<-done
}

// A stream that says nothing is given up, or a half-dead connection would be waited on for ever.
func TestFollowGivesUpSilentStreams(t *testing.T) {
	opened := make(chan struct{}, 10)
	a := &auth{watch: func(s grpc.ServerStreamingServer[authv1.WatchRevocationsResponse]) error {
		opened <- struct{}{}
		<-s.Context().Done()
		return s.Context().Err()
	}}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	verification := client.Verification(connect(t, a, "identity"))
	go func() {
		defer close(done)
		client.FollowRevocations(ctx, verification, token.NewRevocationList(time.Now), slog.New(slog.DiscardHandler))
	}()
	for range 2 {
		select {
		case <-opened:
		case <-time.After(3 * token.StaleAfter):
			t.Fatal("a silent stream is not given up")
		}
	}
	cancel()
	<-done
}

func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-deadline:
			t.Fatal("not within 5 s")
		case <-tick.C:
		}
	}
}
