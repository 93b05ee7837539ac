package client

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/grpc"

	"github.com/gatehouse/gatehouse/internal/token"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// Issuer is the mesh name of the program that signs access tokens.
const Issuer = "auth"

// reconnect bounds the pause between two attempts to follow the feed: longer ones would leave the list stale after a short fault.
const (
	reconnectMin = 50 * time.Millisecond
	reconnectMax = time.Second
)

// Verification is the client of Auth's VerificationService on a connection.
func Verification(conn grpc.ClientConnInterface) authv1.VerificationServiceClient {
	return authv1.NewVerificationServiceClient(conn)
}

// KeySet fetches the issuer's keys by GetKeySet.
func KeySet(c authv1.VerificationServiceClient) token.Fetch {
	return func(ctx context.Context) (token.KeySet, error) {
		answer, err := c.GetKeySet(ctx, &authv1.GetKeySetRequest{})
		if err != nil {
			return token.KeySet{}, fmt.Errorf("get key set: %w", err)
		}
		set := token.KeySet{MaxAge: answer.GetMaxAge().AsDuration()}
		for _, k := range answer.GetKeys() {
			set.Keys = append(set.Keys, token.JWK{
				KTY: k.GetKty(), Use: k.GetUse(), Alg: k.GetAlg(), KID: k.GetKid(), CRV: k.GetCrv(), X: k.GetX(), Y: k.GetY(),
			})
		}
		return set, nil
	}
}

// Feed follows the revocations until its context ends.
type Feed func(ctx context.Context)

// NewFeed makes a Feed of FollowRevocations, for wiring.
func NewFeed(c authv1.VerificationServiceClient, list *token.RevocationList, log *slog.Logger) Feed {
	return func(ctx context.Context) { FollowRevocations(ctx, c, list, log) }
}

// FollowRevocations keeps the list current from WatchRevocations until ctx ends. It reconnects whenever the stream ends or is silent;
// while it cannot, the list goes stale and bearer tokens are refused.
func FollowRevocations(ctx context.Context, c authv1.VerificationServiceClient, list *token.RevocationList, log *slog.Logger) {
	pause, failing := reconnectMin, false
	for {
		heard, err := follow(ctx, c, list)
		if ctx.Err() != nil {
			return
		}
		if heard {
			pause, failing = reconnectMin, false
		}
		if !failing {
			log.WarnContext(ctx, "revocation feed ended; following again", "error", err.Error())
		}
		failing = true
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		pause = min(2*pause, reconnectMax)
	}
}

// follow reads one stream to its end and reports whether anything came.
func follow(ctx context.Context, c authv1.VerificationServiceClient, list *token.RevocationList) (heard bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// A connection that only looks alive would be waited on for ever.
	watchdog := time.AfterFunc(token.StaleAfter, cancel)
	defer watchdog.Stop()
	stream, err := c.WatchRevocations(ctx, &authv1.WatchRevocationsRequest{})
	if err != nil {
		return false, fmt.Errorf("watch revocations: %w", err)
	}
	for {
		m, err := stream.Recv()
		if err != nil {
			return heard, fmt.Errorf("watch revocations: %w", err)
		}
		watchdog.Reset(token.StaleAfter)
		ended := make([]token.Revocation, 0, len(m.GetRevocations()))
		for _, r := range m.GetRevocations() {
			ended = append(ended, token.Revocation{SessionID: r.GetSessionId(), ExpiresAt: r.GetExpireTime().AsTime()})
		}
		list.Apply(m.GetComplete(), ended)
		heard = true
	}
}
