package authz

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/internal/access"
	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/loop"
	"github.com/gatehouse/gatehouse/internal/rpcstatus"
	authzv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1"
)

// silentAfter is when a stream of changes is given up: Authz says something twice a second.
const silentAfter = 4 * time.Second

// ChangeFeed follows the changes of permissions until its context ends.
type ChangeFeed func(ctx context.Context)

// NewChangeFeed tells what WatchChanges sends, as access.Changes.Told wants it. It goes on after a
// break where it was; where it cannot, anything may have changed.
func NewChangeFeed(c authzv1.AuthzServiceClient, told func(changes []access.Change, all bool), log *slog.Logger) ChangeFeed {
	return func(ctx context.Context) {
		f := &follower{authz: c, told: told, anew: true}
		var trouble loop.Trouble
		_ = loop.Resume(ctx, loop.Stream{ // no error is final
			Silence: silentAfter,
			Read: func(ctx context.Context, cursor string, heard func(string)) error {
				return f.read(ctx, cursor, func(cursor string) {
					trouble = loop.Trouble{}
					heard(cursor)
				})
			},
			Told: func(err error) {
				if began, _ := trouble.Note(err); began {
					log.WarnContext(ctx, "changes of permissions are not told; streams ask again and again", "error", err.Error())
				}
			},
		})
	}
}

// follower reads one stream after the other.
type follower struct {
	authz authzv1.AuthzServiceClient
	told  func(changes []access.Change, all bool)
	anew  bool // what happened before the next message is not known
}

func (f *follower) read(ctx context.Context, cursor string, heard func(cursor string)) error {
	if f.anew {
		cursor = ""
	}
	stream, err := f.authz.WatchChanges(ctx, &authzv1.WatchChangesRequest{Cursor: cursor})
	for err == nil {
		var m *authzv1.WatchChangesResponse
		if m, err = stream.Recv(); err == nil {
			f.told(changed(m), m.GetAll() || f.anew)
			f.anew = false
			heard(m.GetCursor())
		}
	}
	f.anew = f.anew || errors.Is(rpcstatus.ToError(status.Convert(err)), apierr.CursorExpired())
	return fmt.Errorf("watch changes: %w", err)
}

func changed(m *authzv1.WatchChangesResponse) []access.Change {
	changes := make([]access.Change, len(m.GetChanges()))
	for i, c := range m.GetChanges() {
		changes[i] = access.Change{Object: c.GetObject(), Subject: c.GetSubject(), From: c.GetFromTypes()}
	}
	return changes
}
