package api_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	"github.com/gatehouse/gatehouse/internal/testkit/streamtest"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
)

// streaming is Identity over a socket, and its log.
func streaming(t *testing.T) (service, *streamtest.Log) {
	log := &streamtest.Log{}
	return newService(t, func(c *grpctest.Config) { c.TCP, c.Log = true, log }), log
}

// Who follows users goes on from the last cursor, and is told when they cannot be read any more.
func TestStreamingWatchUsers(t *testing.T) {
	t.Parallel()
	streamtest.Run(t, func(t *testing.T) streamtest.Case {
		s, log := streaming(t)
		root := s.importer(t)
		o := root.GetOrganizationId()
		s.grants.Allow(root.GetId(), "can_list_users", "platform:gatehouse")
		claims := s.Tokens.Claims(root.GetId())
		claims.OrganizationID = o
		feed := func() string {
			u := s.signedUp(t)
			check.NoError(t, s.watching.Look(context.WithoutCancel(t.Context())))
			return u.GetId()
		}
		return streamtest.Case{
			Server: s.Server, Log: log, Conn: s.AsUser(claims), Method: identityv1.UserService_WatchUsers_FullMethodName,
			Request: func(int) proto.Message { return &identityv1.WatchUsersRequest{} },
			Feed:    feed,
			Flood: func() {
				for n := range 10 {
					m := part(o)
					for i := range 100 {
						m.Users = append(m.Users, &identityv1.ImportedUser{Email: fmt.Sprintf("f%d-%d@example.com", n, i), DisplayName: strings.Repeat("\U0001F600", 200)})
					}
					_, _, err := s.imported(t, root, m)
					check.NoError(t, err)
				}
				feed()
			},
			Keys: func(m proto.Message) []string {
				if u := m.(*identityv1.WatchUsersResponse).GetUser(); u != nil {
					return []string{u.GetId()}
				}
				return nil
			},
			Resume: func(last proto.Message) proto.Message {
				return &identityv1.WatchUsersRequest{Cursor: last.(*identityv1.WatchUsersResponse).GetCursor()}
			},
			Break: func() {
				s.changes.broken.Store(true)
				feed()
			},
			BrokenCode: codes.Unavailable, BrokenReason: "DATABASE_UNAVAILABLE",
		}
	})
}

// An import that breaks off is sent again: there is no cursor. A message that is not admitted ends
// it.
func TestStreamingImportUsers(t *testing.T) {
	t.Parallel()
	streamtest.Run(t, func(t *testing.T) streamtest.Case {
		s, log := streaming(t)
		ada := s.importer(t)
		claims := s.Tokens.Claims(ada.GetId())
		o := ada.GetOrganizationId()
		claims.OrganizationID = o
		return streamtest.Case{
			Server: s.Server, Log: log, Conn: s.AsUser(claims), Method: identityv1.UserService_ImportUsers_FullMethodName,
			Request: func(n int) proto.Message {
				return part(o, &identityv1.ImportedUser{Email: fmt.Sprintf("u%d@example.com", n)})
			},
			Break: func() { o = uuid.NewString() }, BrokenCode: codes.NotFound, BrokenReason: "ORGANIZATION_NOT_FOUND",
		}
	})
}
