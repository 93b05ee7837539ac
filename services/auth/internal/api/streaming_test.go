package api_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	"github.com/gatehouse/gatehouse/internal/testkit/streamtest"
	"github.com/gatehouse/gatehouse/internal/token"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

// ended is the store of sessions, and more ended ones than a test can sign out.
type ended struct {
	session.Store

	mu   sync.Mutex
	many []session.Revocation
}

func (e *ended) Revocations(ctx context.Context, after session.Window, now time.Time) ([]session.Revocation, session.Window, error) {
	all, window, err := e.Store.Revocations(ctx, after, now)
	e.mu.Lock()
	defer e.mu.Unlock()
	return append(all, e.many...), window, err
}

// flood tells everybody who watches of ended sessions, 30 KiB in each update.
func (a *auth) flood(updates int) {
	for range updates {
		a.ended.mu.Lock()
		for range 500 {
			a.ended.many = append(a.ended.many, session.Revocation{SessionID: uuid.NewString(), ExpireTime: time.Now().Add(time.Hour)})
		}
		a.ended.mu.Unlock()
		check.NoError(a.t, a.feed.Read(a.t.Context()))
	}
}

// signOut signs somebody in and out again, and returns the session.
func (a *auth) signOut() string {
	a.t.Helper()
	access := a.signIn().GetAccessToken()
	claims, err := token.NewVerifier(token.Config{Issuer: "https://id.example", Audience: "gatehouse"}, a.keeper, a.list, time.Now).Verify(a.t.Context(), access)
	check.NoError(a.t, err)
	_, err = authv1.NewAuthServiceClient(a.bearer(access)).SignOut(a.t.Context(), &authv1.SignOutRequest{})
	check.NoError(a.t, err)
	return claims.SessionID
}

// Who resumes watches anew for the complete set: there is no cursor. A stream that falls behind
// ends.
func TestStreamingWatchRevocations(t *testing.T) {
	streamtest.Run(t, func(t *testing.T) streamtest.Case {
		a := newAuth(t, func(c *grpctest.Config) { c.TCP = true })
		a.signUp()
		a.turn()
		return streamtest.Case{
			Server: a.Server, Log: &a.log, Conn: a.As("identity"), Method: authv1.VerificationService_WatchRevocations_FullMethodName,
			Request: func(int) proto.Message { return &authv1.WatchRevocationsRequest{} },
			Feed:    a.signOut, Flood: func() { a.flood(10) },
			Keys: func(m proto.Message) (ids []string) {
				for _, r := range m.(*authv1.WatchRevocationsResponse).GetRevocations() {
					ids = append(ids, r.GetSessionId())
				}
				return ids
			},
			Break: func() { a.flood(100) }, BrokenCode: codes.Unavailable, BrokenReason: "TOO_SLOW",
		}
	})
}
