package authz_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"google.golang.org/grpc"

	"github.com/gatehouse/gatehouse/internal/access"
	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/client/authz"
	"github.com/gatehouse/gatehouse/internal/client/clienttest"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	authzv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1"
)

// changing is an Authz whose streams of changes the test speaks on.
type changing struct {
	authzv1.UnimplementedAuthzServiceServer

	opened chan string // cursors
	says   chan any    // a message, or an error that ends the stream
}

func (c *changing) WatchChanges(r *authzv1.WatchChangesRequest, s grpc.ServerStreamingServer[authzv1.WatchChangesResponse]) error {
	c.opened <- r.GetCursor()
	for {
		select {
		case <-s.Context().Done():
			return s.Context().Err()
		case said := <-c.says:
			if err, ok := said.(error); ok {
				return err
			}
			if err := s.Send(said.(*authzv1.WatchChangesResponse)); err != nil {
				return err
			}
		}
	}
}

// A feed begins with everything, goes on after its last cursor, and begins with everything again
// when that leads nowhere.
func TestFollowChanges(t *testing.T) {
	server := &changing{opened: make(chan string, 10), says: make(chan any)}
	client := authz.Client(clienttest.Dial(t, "audit", authz.Name,
		grpcserver.Registration{Desc: &authzv1.AuthzService_ServiceDesc, Impl: server}))
	told := make(chan string, 10)
	feed := authz.NewChangeFeed(client, func(changes []access.Change, all bool) {
		told <- fmt.Sprintf("%v %t", changes, all)
	}, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		feed(ctx)
	}()
	opens := func(want string) {
		t.Helper()
		if got := clienttest.Within(t, server.opened); got != want {
			t.Errorf("opened with cursor %q, want %q", got, want)
		}
	}
	tells := func(m *authzv1.WatchChangesResponse, want string) {
		t.Helper()
		server.says <- m
		if got := clienttest.Within(t, told); got != want {
			t.Errorf("%v is told as %s, want %s", m, got, want)
		}
	}
	change := &authzv1.ChangedRelationship{Object: "organization:o", Subject: "user:u", FromTypes: []string{"user"}}
	opens("")
	tells(&authzv1.WatchChangesResponse{Cursor: "1"}, "[] true")
	tells(&authzv1.WatchChangesResponse{Cursor: "2", Changes: []*authzv1.ChangedRelationship{change}}, "[{organization:o user:u [user]}] false")
	server.says <- apierr.New(apierr.Unavailable, "SHUTTING_DOWN", "restarts")
	opens("2")
	tells(&authzv1.WatchChangesResponse{Cursor: "3"}, "[] false")
	tells(&authzv1.WatchChangesResponse{Cursor: "4", All: true}, "[] true")
	server.says <- apierr.New(apierr.Unavailable, "SHUTTING_DOWN", "restarts")
	opens("4")
	server.says <- apierr.New(apierr.FailedPrecondition, "CURSOR_EXPIRED", "leads nowhere")
	opens("")
	tells(&authzv1.WatchChangesResponse{Cursor: "5"}, "[] true")
	cancel()
	<-done
}
