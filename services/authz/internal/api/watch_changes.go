package api

import (
	"context"

	"google.golang.org/grpc"

	"github.com/gatehouse/gatehouse/internal/cursor"
	authzv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1"
	"github.com/gatehouse/gatehouse/services/authz/internal/relationship"
)

// WatchChanges sends which relationships changed until the client leaves.
func (s *AuthzService) WatchChanges(r *authzv1.WatchChangesRequest, stream grpc.ServerStreamingServer[authzv1.WatchChangesResponse]) error {
	ctx := stream.Context()
	after, err := s.cursors.Open(ctx, r.GetCursor(), s.changes()...)
	if err != nil {
		return err
	}
	return s.watching.Watch(ctx, after, func(news relationship.News, after cursor.Cursor) error {
		m, err := s.changed(ctx, news, after)
		if err != nil {
			return err
		}
		return stream.Send(m)
	})
}

// changes is what a cursor serves: another model answers otherwise though nothing was written.
func (s *AuthzService) changes() []string { return []string{"changes", s.engine.Model().ID} }

func (s *AuthzService) changed(ctx context.Context, news relationship.News, after cursor.Cursor) (m *authzv1.WatchChangesResponse, err error) {
	m = &authzv1.WatchChangesResponse{All: news.All}
	for _, t := range news.Tuples {
		reach, known := s.engine.ReachOf(t)
		if !known {
			m.All = true
		}
		m.Changes = append(m.Changes, &authzv1.ChangedRelationship{Object: t.Object, Subject: reach.Subject, FromTypes: reach.From})
	}
	m.Cursor, err = s.cursors.Seal(ctx, after, s.changes()...)
	return m, err
}
