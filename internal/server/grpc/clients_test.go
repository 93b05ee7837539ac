package grpcserver_test

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/rpcstatus"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
	_ "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/contracts"
)

// call makes one call of a method with an empty message.
func call(ctx context.Context, conn *grpc.ClientConn, m *contract.Method) error {
	d := m.Descriptor
	in, out := dynamicpb.NewMessage(d.Input()), dynamicpb.NewMessage(d.Output())
	if !d.IsStreamingClient() && !d.IsStreamingServer() {
		return conn.Invoke(ctx, m.FullName, in, out)
	}
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: d.IsStreamingServer(), ClientStreams: d.IsStreamingClient()}, m.FullName)
	if err != nil {
		return err
	}
	if err := stream.SendMsg(in); err != nil {
		return stream.RecvMsg(out) // says why
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	return stream.RecvMsg(out)
}

// R42, R50: a client's token without the platform's scope, and an ID token, are worth nothing on
// every method of every program that takes people's tokens, whoever hands them on.
func TestEveryMethodRefusesTokensForOthers(t *testing.T) {
	c := meshtest.Contract(t)
	servers := map[string]*grpctest.Server{}
	walked := 0
	for _, m := range c.Methods() {
		if m.Program == "" || m.Has(contract.Public) || m.Has(contract.Service) {
			continue
		}
		walked++
		s := servers[m.Program]
		if s == nil {
			s = grpctest.New(t, grpctest.Config{Program: m.Program, Registrations: grpctest.Hollow(c, m.Program, nil), Callers: grpctest.Consenting(t)})
			servers[m.Program] = s
		}
		as := func(bearer string) error {
			return call(t.Context(), s.Dial(request.CallerHeader, grpctest.SPIFFE("gateway"), "authorization", "Bearer "+bearer), m)
		}
		user := uuid.NewString()
		for name, foreign := range s.Tokens.Foreign(user) {
			err := as(foreign)
			if reason := rpcstatus.ToError(status.Convert(err)).Reason; status.Code(err) != codes.Unauthenticated || reason != "INVALID_TOKEN" {
				t.Errorf("%s with a token %s: %v, want INVALID_TOKEN", m.FullName, name, err)
			}
		}
		if err := as(s.Tokens.Sign(s.Tokens.Claims(user))); status.Code(err) == codes.Unauthenticated { // the control
			t.Errorf("%s with a token for it: %v", m.FullName, err)
		}
	}
	if walked < 14 {
		t.Errorf("only %d methods take people's tokens: the walk looks in the wrong place", walked)
	}
}
