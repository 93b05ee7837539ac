package auth

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/gatehouse/gatehouse/internal/loop"
	"github.com/gatehouse/gatehouse/internal/token"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// Feed follows the revocations until its context ends.
type Feed func(ctx context.Context)

// NewFeed makes a Feed of FollowRevocations, for wiring.
func NewFeed(c authv1.VerificationServiceClient, list *token.RevocationList, log *slog.Logger) Feed {
	return func(ctx context.Context) { FollowRevocations(ctx, c, list, log) }
}

// FollowRevocations keeps the list current from WatchRevocations until ctx ends. It reconnects
// whenever the stream ends or is silent; while it cannot, the list goes stale and bearer tokens are
// refused. The server begins with the whole set, so there is no cursor.
func FollowRevocations(ctx context.Context, c authv1.VerificationServiceClient, list *token.RevocationList, log *slog.Logger) {
	var trouble loop.Trouble
	_ = loop.Resume(ctx, loop.Stream{ // no error is final
		Silence: token.StaleAfter,
		Read: func(ctx context.Context, _ string, heard func(string)) error {
			return follow(ctx, c, list, func() {
				trouble = loop.Trouble{}
				heard("")
			})
		},
		Told: func(err error) {
			if began, _ := trouble.Note(err); began {
				log.WarnContext(ctx, "revocation feed ended; following again", "error", err.Error())
			}
		},
	})
}

// follow reads one stream to its end.
func follow(ctx context.Context, c authv1.VerificationServiceClient, list *token.RevocationList, heard func()) error {
	stream, err := c.WatchRevocations(ctx, &authv1.WatchRevocationsRequest{})
	if err != nil {
		return fmt.Errorf("watch revocations: %w", err)
	}
	for {
		m, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("watch revocations: %w", err)
		}
		ended := make([]token.Revocation, 0, len(m.GetRevocations()))
		for _, r := range m.GetRevocations() {
			ended = append(ended, token.Revocation{SessionID: r.GetSessionId(), ExpiresAt: r.GetExpireTime().AsTime()})
		}
		list.Apply(m.GetComplete(), ended)
		heard()
	}
}
