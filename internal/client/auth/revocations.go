package auth

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/gatehouse/gatehouse/internal/loop"
	"github.com/gatehouse/gatehouse/internal/token"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// reconnect bounds the pause between two attempts to follow the feed: longer ones would leave the
// list stale after a short fault.
const (
	reconnectMin = 50 * time.Millisecond
	reconnectMax = time.Second
)

// Feed follows the revocations until its context ends.
type Feed func(ctx context.Context)

// NewFeed makes a Feed of FollowRevocations, for wiring.
func NewFeed(c authv1.VerificationServiceClient, list *token.RevocationList, log *slog.Logger) Feed {
	return func(ctx context.Context) { FollowRevocations(ctx, c, list, log) }
}

// FollowRevocations keeps the list current from WatchRevocations until ctx ends. It reconnects
// whenever the stream ends or is silent; while it cannot, the list goes stale and bearer tokens are
// refused.
func FollowRevocations(ctx context.Context, c authv1.VerificationServiceClient, list *token.RevocationList, log *slog.Logger) {
	next, trouble := reconnectMin, loop.Trouble{}
	loop.Run(ctx, nil, func(ctx context.Context) time.Duration {
		heard, err := follow(ctx, c, list)
		if heard {
			next, trouble = reconnectMin, loop.Trouble{}
		}
		if began, _ := trouble.Note(err); began && ctx.Err() == nil {
			log.WarnContext(ctx, "revocation feed ended; following again", "error", err.Error())
		}
		pause := next
		next = min(2*next, reconnectMax)
		return pause
	})
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
