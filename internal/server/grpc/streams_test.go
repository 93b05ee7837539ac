package grpcserver_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"

	"github.com/gatehouse/gatehouse/internal/access"
	"github.com/gatehouse/gatehouse/internal/apierr"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	"github.com/gatehouse/gatehouse/internal/token"
)

// floods sends more than the transport takes to a client that does not read, and says when it has
// returned.
func floods(d *demo, returned chan<- error) func(grpc.ServerStream) error {
	return func(s grpc.ServerStream) (err error) {
		defer func() { returned <- err }()
		if err := s.RecvMsg(d.message()); err != nil {
			return err
		}
		for {
			if err := s.SendMsg(d.message("text", strings.Repeat("x", 16<<10))); err != nil {
				return err
			}
		}
	}
}

// starves waits for more than its client sends.
func starves(d *demo, returned chan<- error) func(grpc.ServerStream) error {
	return func(s grpc.ServerStream) (err error) {
		defer func() { returned <- err }()
		for {
			if err := s.RecvMsg(d.message()); err != nil {
				return err
			}
		}
	}
}

// end is a way in which a stream ends that its client does not end.
type end struct {
	method string
	lives  time.Duration // the token
	end    func(*grpctest.Server, *grpctest.Grants, token.Claims)
	within time.Duration // from the end of the right to it until the handler has returned
	code   codes.Code
	reason string
}

func nothing(*grpctest.Server, *grpctest.Grants, token.Claims) {}

func ends() map[string]end {
	revoked := func(s *grpctest.Server, _ *grpctest.Grants, c token.Claims) { s.Tokens.Revoke(c.SessionID) }
	denied := func(_ *grpctest.Server, g *grpctest.Grants, _ token.Claims) {
		g.Revoke(me, "can_read", "user:"+other)
	}
	drained := func(s *grpctest.Server, _ *grpctest.Grants, _ token.Claims) {
		go func() { _ = s.Drain(context.Background()) }()
	}
	const long, short = 10 * time.Minute, 7 * time.Second
	return map[string]end{
		"long-lived, the token expires":      {"Follow", short, nothing, short, codes.Unauthenticated, apierr.TokenExpired().Reason},
		"long-lived, the session is revoked": {"Follow", long, revoked, 5 * time.Second, codes.Unauthenticated, apierr.TokenRevoked().Reason},
		"long-lived, the permission is gone": {"Follow", long, denied, 5 * time.Second, codes.PermissionDenied, "PERMISSION_DENIED"},
		"long-lived, the program stops":      {"Follow", long, drained, 0, codes.Unavailable, "SHUTTING_DOWN"},
		"bounded, its time is over":          {"Import", long, nothing, 20 * time.Second, codes.DeadlineExceeded, "DEADLINE_EXCEEDED"},
		"bounded, the token expires":         {"Import", short, nothing, short, codes.Unauthenticated, apierr.TokenExpired().Reason},
		"bounded, the session is revoked":    {"Import", long, revoked, 5 * time.Second, codes.Unauthenticated, apierr.TokenRevoked().Reason},
		"bounded, the permission is gone":    {"Import", long, denied, 5 * time.Second, codes.PermissionDenied, "PERMISSION_DENIED"},
		"bounded, the program stops":         {"Import", long, drained, 0, codes.Unavailable, "SHUTTING_DOWN"},
	}
}

// R54, R63: the handler of a stream is released when its time, its token or its right is over or
// the program stops, also while it sends to a client that does not read or waits for one that does
// not send; nothing of it stays behind, which the bubble sees. The client is told why once it
// reads.
func TestStuckStreamsEnd(t *testing.T) {
	for name, c := range ends() {
		for kind, handler := range map[string]func(*demo, chan<- error) func(grpc.ServerStream) error{"not read": floods, "not sent": starves} {
			t.Run(kind+"/"+name, func(t *testing.T) {
				d := newDemo(t)
				synctest.Test(t, func(t *testing.T) {
					returned := make(chan error, 1)
					d.stream = handler(d, returned)
					grants := grpctest.NewGrants()
					grants.Allow(me, "can_read", "user:"+other)
					s := start(t, d, grpctest.Config{Permissions: grants})
					claims := s.Tokens.Claims(me)
					claims.ExpiresAt = time.Now().Add(c.lives)
					stream, err := d.open(t.Context(), s.AsUser(claims), c.method)
					if err != nil {
						t.Fatal(err)
					}
					if err := stream.SendMsg(d.message("id", other)); err != nil {
						t.Fatal(err)
					}
					synctest.Wait() // until the handler waits for the client
					began := time.Now()
					c.end(s, grants, claims)
					select {
					case err := <-returned:
						if took := time.Since(began); took > c.within || err == nil {
							t.Errorf("the handler returned after %s, want at most %s: %v", took, c.within, err)
						}
					case <-time.After(c.within + time.Second):
						t.Fatalf("the handler is still stuck")
					}
					for err == nil {
						err = stream.RecvMsg(d.message())
					}
					expect(t, err, c.code, c.reason)
				})
			})
		}
	}
}

// A program stops within 2 s of its drain's delay whoever watches its health, reflects on it or
// does not read; those who read are told why.
func TestShutdownWaitsForNoStream(t *testing.T) {
	d := newDemo(t)
	synctest.Test(t, func(t *testing.T) {
		returned := make(chan error, 1)
		d.stream = floods(d, returned)
		s := start(t, d, grpctest.Config{GRPC: grpcserver.Config{Reflection: true}})
		stuck, err := d.open(t.Context(), s.AsUser(s.Tokens.Claims(me)), "Follow")
		if err != nil {
			t.Fatal(err)
		}
		if err := stuck.SendMsg(d.message("user.id", me)); err != nil {
			t.Fatal(err)
		}
		watch, err := healthpb.NewHealthClient(s.Dial()).Watch(t.Context(), &healthpb.HealthCheckRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := watch.Recv(); err != nil {
			t.Fatal(err)
		}
		reflection, err := grpc_reflection_v1.NewServerReflectionClient(s.Dial()).ServerReflectionInfo(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		began := time.Now()
		if err := s.Drain(t.Context()); err != nil {
			t.Errorf("drain: %v", err)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("the server stopped after %s", took)
		}
		if err := <-returned; err == nil {
			t.Error("the handler that could not send returned nothing")
		}
		_, err = watch.Recv()
		expect(t, err, codes.Unavailable, "SHUTTING_DOWN")
		_, err = reflection.Recv()
		expect(t, err, codes.Unavailable, "SHUTTING_DOWN")
	})
}

// A call that is not a stream is waited for, beside a reader that does not read, and its answer
// arrives.
func TestShutdownWaitsForCalls(t *testing.T) {
	d := newDemo(t)
	synctest.Test(t, func(t *testing.T) {
		returned := make(chan error, 1)
		d.stream = floods(d, returned)
		d.unary = func(_ context.Context, in *message) (*message, error) {
			<-time.After(7 * time.Second)
			return in, nil
		}
		s := start(t, d, grpctest.Config{})
		conn := s.AsUser(s.Tokens.Claims(me))
		stuck, err := d.open(t.Context(), conn, "Follow")
		if err != nil {
			t.Fatal(err)
		}
		if err := stuck.SendMsg(d.message("user.id", me)); err != nil {
			t.Fatal(err)
		}
		answered := make(chan error, 1)
		go func() { answered <- d.call(t.Context(), conn, "Public") }()
		synctest.Wait()
		began := time.Now()
		if err := s.Drain(t.Context()); err != nil {
			t.Errorf("drain: %v", err)
		}
		if took := time.Since(began); took < 7*time.Second || took > 9*time.Second {
			t.Errorf("the server stopped after %s", took)
		}
		if err := <-answered; err != nil {
			t.Errorf("the call that ran answers %v", err)
		}
		if err := <-returned; err == nil {
			t.Error("the handler that could not send returned nothing")
		}
	})
}

// panicking permits once and panics then.
type panicking struct{ asked int }

func (p *panicking) Allowed(_ context.Context, _ string, asked []access.Question, _ string) ([]bool, error) {
	if p.asked++; p.asked > 1 {
		panic("canary")
	}
	return slices.Repeat([]bool{true}, len(asked)), nil
}

// A panic in a goroutine of a call ends the call, not the program: in the recheck of a stream, and
// in what moves its messages.
func TestPanicsBesideTheHandler(t *testing.T) {
	for name, c := range map[string]struct {
		messages int
		stream   func(d *demo) func(grpc.ServerStream) error
	}{
		"in the recheck": {1, func(d *demo) func(grpc.ServerStream) error { return starves(d, make(chan error, 1)) }},
		"in a transfer": {2, func(d *demo) func(grpc.ServerStream) error {
			return func(s grpc.ServerStream) error {
				if err := s.RecvMsg(d.message()); err != nil {
					return err
				}
				return s.RecvMsg((*message)(nil))
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			d, log := newDemo(t), &logLines{}
			synctest.Test(t, func(t *testing.T) {
				d.stream = c.stream(d)
				s := start(t, d, grpctest.Config{Permissions: &panicking{}, Log: log})
				stream, err := d.open(t.Context(), s.AsUser(s.Tokens.Claims(me)), "Follow")
				if err != nil {
					t.Fatal(err)
				}
				for range c.messages {
					if err := stream.SendMsg(d.message("id", other)); err != nil {
						t.Fatal(err)
					}
				}
				expect(t, stream.RecvMsg(d.message()), codes.Internal, "INTERNAL")
			})
			if !strings.Contains(log.String(), "panic") {
				t.Errorf("the log does not tell the panic:\n%s", log)
			}
		})
	}
}
