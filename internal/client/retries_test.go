package client_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/client"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/rpcstatus"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
)

// identity carries out the first attempt of every call and loses its response; a repeat meets what
// the first one left.
type identity struct {
	identityv1.UnimplementedUserServiceServer
	identityv1.UnimplementedUserDirectoryServiceServer
	calls atomic.Int32
}

func (i *identity) answer(repeat error) error {
	if i.calls.Add(1) == 1 {
		return apierr.New(apierr.Unavailable, "DATABASE_UNAVAILABLE", "the connection was cut at the commit")
	}
	return repeat
}

func (i *identity) UpdateUser(context.Context, *identityv1.UpdateUserRequest) (*identityv1.UpdateUserResponse, error) {
	return &identityv1.UpdateUserResponse{}, i.answer(apierr.New(apierr.Aborted, "ETAG_MISMATCH", "changed meanwhile"))
}

func (i *identity) DeleteUser(context.Context, *identityv1.DeleteUserRequest) (*identityv1.DeleteUserResponse, error) {
	return &identityv1.DeleteUserResponse{}, i.answer(apierr.New(apierr.NotFound, "USER_NOT_FOUND", "no such user"))
}

func (i *identity) RegisterUser(context.Context, *identityv1.RegisterUserRequest) (*identityv1.RegisterUserResponse, error) {
	return &identityv1.RegisterUserResponse{}, i.answer(nil)
}

// A change that was carried out is never answered with the refusal of its own repeat.
func TestLostAnswersOfChanges(t *testing.T) {
	const id = "0b7c1c3e-5a52-4a52-9f52-2d6f6c1d7a10"
	contracts := meshtest.Contract(t)
	def := meshtest.Definition(t)
	tokens := grpctest.NewTokens(t, time.Now)
	for name, c := range map[string]struct {
		program string
		call    func(ctx context.Context, conn grpc.ClientConnInterface) error
		calls   int32
		reason  string
	}{
		"UpdateUser": {"gateway", func(ctx context.Context, conn grpc.ClientConnInterface) error {
			request := &identityv1.UpdateUserRequest{User: &identityv1.User{Id: id}, Etag: "1"}
			_, err := identityv1.NewUserServiceClient(conn).UpdateUser(ctx, request)
			return err
		}, 1, "DATABASE_UNAVAILABLE"},
		"DeleteUser": {"gateway", func(ctx context.Context, conn grpc.ClientConnInterface) error {
			_, err := identityv1.NewUserServiceClient(conn).DeleteUser(ctx, &identityv1.DeleteUserRequest{Id: id})
			return err
		}, 1, "DATABASE_UNAVAILABLE"},
		"RegisterUser": {"auth", func(ctx context.Context, conn grpc.ClientConnInterface) error {
			request := &identityv1.RegisterUserRequest{Id: id, Email: "a@example.com"}
			_, err := identityv1.NewUserDirectoryServiceClient(conn).RegisterUser(ctx, request)
			return err
		}, 2, ""},
	} {
		t.Run(name, func(t *testing.T) {
			i := &identity{}
			s := grpctest.New(t, grpctest.Config{Program: "identity", Tokens: tokens, Registrations: []grpcserver.Registration{
				{Desc: &identityv1.UserService_ServiceDesc, Impl: i}, {Desc: &identityv1.UserDirectoryService_ServiceDesc, Impl: i},
			}})
			conn, err := client.Dial(def, 0, c.program, "identity", client.Options{Contract: contracts, Dial: s.DialOptions(
				request.CallerHeader, grpctest.SPIFFE(c.program), "authorization", "Bearer "+tokens.Sign(tokens.Claims(id)),
			)})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			err = c.call(t.Context(), conn)
			var reason string
			if err != nil {
				reason = rpcstatus.ToError(status.Convert(err)).Reason
			}
			if reason != c.reason || i.calls.Load() != c.calls {
				t.Errorf("%d attempts answer %v, want %d and %q", i.calls.Load(), err, c.calls, c.reason)
			}
		})
	}
}

// A question that Authz did not answer was tried again by who asked it. Whoever called that program
// does not ask it all again: three attempts on each of two ways would be nine.
func TestRetriesDoNotMultiply(t *testing.T) {
	const id = "0b7c1c3e-5a52-4a52-9f52-2d6f6c1d7a10"
	contracts := meshtest.Contract(t)
	def := meshtest.Definition(t)
	tokens, grants := grpctest.NewTokens(t, time.Now), grpctest.NewGrants()
	grants.Fail(apierr.New(apierr.Unavailable, "DATABASE_UNAVAILABLE", "down"))
	s := grpctest.New(t, grpctest.Config{Program: "identity", Tokens: tokens, Permissions: grants, Registrations: []grpcserver.Registration{
		{Desc: &identityv1.UserService_ServiceDesc, Impl: &identity{}},
	}})
	conn, err := client.Dial(def, 0, "gateway", "identity", client.Options{Contract: contracts, Dial: s.DialOptions(
		request.CallerHeader, grpctest.SPIFFE("gateway"), "authorization", "Bearer "+tokens.Sign(tokens.Claims(id)),
	)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, err = identityv1.NewUserServiceClient(conn).GetUser(t.Context(), &identityv1.GetUserRequest{Id: "aaaaaaaa-5a52-4a52-9f52-2d6f6c1d7a10"})
	if e := rpcstatus.ToError(status.Convert(err)); e == nil || e.Reason != "AUTHZ_UNAVAILABLE" || len(grants.Asked()) != 1 {
		t.Errorf("asked %d times, which ends with %v, want once", len(grants.Asked()), err)
	}
}

// A repeat comes when the answer says that it may, not after the client's own pause.
func TestRetriesWaitAsTheAnswerSays(t *testing.T) {
	const pause = 700 * time.Millisecond
	var attempts []time.Time
	a := &auth{keys: func(context.Context) (*authv1.GetKeySetResponse, error) {
		attempts = append(attempts, time.Now())
		return nil, apierr.New(apierr.Unavailable, "KEYS_UNAVAILABLE", "not loaded").WithRetryAfter(pause)
	}}
	_, err := authv1.NewVerificationServiceClient(connect(t, a, "identity")).GetKeySet(t.Context(), &authv1.GetKeySetRequest{})
	if e := rpcstatus.ToError(status.Convert(err)); e == nil || e.Reason != "KEYS_UNAVAILABLE" || len(attempts) != 3 {
		t.Fatalf("%d attempts end with %v, want 3", len(attempts), err)
	}
	for i := range 2 {
		if after := attempts[i+1].Sub(attempts[i]); after < pause {
			t.Errorf("repeat %d comes after %s, want %s", i+1, after, pause)
		}
	}
}

// While much fails, calls are not tried again: retries would double an outage.
func TestRetriesHaveABudget(t *testing.T) {
	a := &auth{keys: func(context.Context) (*authv1.GetKeySetResponse, error) {
		return nil, apierr.New(apierr.Unavailable, "DATABASE_UNAVAILABLE", "down")
	}}
	c := authv1.NewVerificationServiceClient(connect(t, a, "identity"))
	const calls = 60 // more than half of the budget
	var asking sync.WaitGroup
	for range calls {
		asking.Go(func() {
			if _, err := c.GetKeySet(t.Context(), &authv1.GetKeySetRequest{}); status.Code(err) != codes.Unavailable {
				t.Errorf("a call answers %v", err)
			}
		})
	}
	asking.Wait()
	before := a.calls.Load()
	if _, err := c.GetKeySet(t.Context(), &authv1.GetKeySetRequest{}); status.Code(err) != codes.Unavailable {
		t.Errorf("a call answers %v", err)
	}
	if before >= 3*calls || a.calls.Load() != before+1 {
		t.Errorf("%d attempts of %d calls, and %d of one more, want no retries at the end", before, calls, a.calls.Load()-before)
	}
}
