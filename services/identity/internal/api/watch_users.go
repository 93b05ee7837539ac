package api

import (
	"google.golang.org/grpc"

	"github.com/gatehouse/gatehouse/internal/cursor"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// WatchUsers sends users and their changes until the client leaves or its token expires.
func (s *UserService) WatchUsers(r *identityv1.WatchUsersRequest, stream grpc.ServerStreamingServer[identityv1.WatchUsersResponse]) error {
	ctx := stream.Context()
	organizationID := r.GetOrganizationId()
	after, err := s.cursors.Open(ctx, r.GetCursor(), "users", organizationID)
	if err != nil {
		return err
	}
	return s.watching.Watch(ctx, among(organizationID), after, func(change *user.Change, after cursor.Cursor) error {
		text, err := s.cursors.Seal(ctx, after, "users", organizationID)
		if err != nil {
			return err
		}
		m := watchMessage(change)
		m.Cursor = text
		return stream.Send(m)
	})
}

func watchMessage(change *user.Change) *identityv1.WatchUsersResponse {
	switch {
	case change == nil:
		return &identityv1.WatchUsersResponse{}
	case change.Gone:
		return &identityv1.WatchUsersResponse{Deleted: &identityv1.DeletedUser{Id: change.User.ID, OrganizationId: change.User.OrganizationID}}
	default:
		return &identityv1.WatchUsersResponse{User: userMessage(change.User)}
	}
}
