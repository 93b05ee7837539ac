package auth_test

import (
	"context"
	"io"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/gatehouse/gatehouse/internal/client/auth"
	"github.com/gatehouse/gatehouse/internal/client/clienttest"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/token"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// verification is an Auth under the test's control.
type verification struct {
	authv1.UnimplementedVerificationServiceServer

	keys  *authv1.GetKeySetResponse
	watch func(s grpc.ServerStreamingServer[authv1.WatchRevocationsResponse]) error
}

func (v *verification) GetKeySet(context.Context, *authv1.GetKeySetRequest) (*authv1.GetKeySetResponse, error) {
	return v.keys, nil
}

func (v *verification) WatchRevocations(_ *authv1.WatchRevocationsRequest, s grpc.ServerStreamingServer[authv1.WatchRevocationsResponse]) error {
	return v.watch(s)
}

// connect returns Identity's client of v.
func connect(t *testing.T, v *verification) authv1.VerificationServiceClient {
	t.Helper()
	return auth.Verification(clienttest.Dial(t, "identity", auth.Name,
		grpcserver.Registration{Desc: &authv1.VerificationService_ServiceDesc, Impl: v}))
}

func TestKeySet(t *testing.T) {
	v := &verification{keys: &authv1.GetKeySetResponse{
		Keys:   []*authv1.JsonWebKey{{Kty: "EC", Use: "sig", Alg: "ES256", Kid: "k", Crv: "P-256", X: "x", Y: "y"}},
		MaxAge: durationpb.New(time.Minute),
	}}
	set, err := auth.KeySet(connect(t, v))(t.Context())
	want := token.JWK{KTY: "EC", Use: "sig", Alg: "ES256", KID: "k", CRV: "P-256", X: "x", Y: "y"}
	if err != nil || set.MaxAge != time.Minute || len(set.Keys) != 1 || set.Keys[0].KID != want.KID || set.Keys[0].X != "x" || set.Keys[0].Y != "y" ||
		set.Keys[0].KTY != "EC" || set.Keys[0].Use != "sig" || set.Keys[0].Alg != "ES256" || set.Keys[0].CRV != "P-256" {
		t.Errorf("set is %+v, %v, want %+v", set, err, want)
	}
}

// A set comes in several messages: until it is complete the list says of no session that it has not
// ended, and what it knew before the stream was cut stays known while the set is sent anew.
func TestFollowRevocations(t *testing.T) {
	step := make(chan *authv1.WatchRevocationsResponse)
	v := &verification{watch: func(s grpc.ServerStreamingServer[authv1.WatchRevocationsResponse]) error {
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
	feed := auth.NewFeed(connect(t, v), list, slog.New(slog.DiscardHandler))
	go func() {
		defer close(done)
		feed(ctx)
	}()
	send := func(complete bool, session string) {
		t.Helper()
		expire := timestamppb.New(time.Now().Add(time.Hour))
		step <- &authv1.WatchRevocationsResponse{Complete: complete, Revocations: []*authv1.Revocation{{SessionId: session, ExpireTime: expire}}}
		check.Eventually(t, "session "+session+" has ended", func() bool { ended, err := list.Revoked(session); return err == nil && ended })
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
	v := &verification{watch: func(s grpc.ServerStreamingServer[authv1.WatchRevocationsResponse]) error {
		opened <- struct{}{}
		<-s.Context().Done()
		return s.Context().Err()
	}}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	client := connect(t, v)
	go func() {
		defer close(done)
		auth.FollowRevocations(ctx, client, token.NewRevocationList(time.Now), slog.New(slog.DiscardHandler))
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
