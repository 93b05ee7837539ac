package api

import (
	"context"
	"errors"
	"time"

	"github.com/gatehouse/gatehouse/internal/resource"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
)

// pageToken returns the token for the page after next, or an empty one when there is no next page.
func (s *AuditService) pageToken(ctx context.Context, next *trail.Cursor, f trail.Filter) (string, error) {
	if next == nil {
		return "", nil
	}
	return s.seal.PageToken(ctx, next.Time, next.Position, scope(f)...)
}

// parsePageToken returns the position of a token that pageToken made for the same filter, or nil for an empty token.
func (s *AuditService) parsePageToken(ctx context.Context, token string, f trail.Filter) (*trail.Cursor, error) {
	if token == "" {
		return nil, nil // no token: the first page
	}
	at, position, err := s.seal.ParsePageToken(ctx, token, scope(f)...)
	if errors.Is(err, resource.ErrNotSealed) {
		return nil, invalid("page_token", "page_token", "must be next_page_token of the page before, with the same filters and made by this version of Audit; leave it out to start again")
	}
	if err != nil {
		return nil, err
	}
	return &trail.Cursor{Time: at, Position: position}, nil
}

// scope is everything that selects the rows of a list.
func scope(f trail.Filter) []string {
	selected := []string{
		f.ActorID, f.ObjectType, f.ObjectID, f.OrganizationID, f.Action, string(f.Outcome), f.RequestID,
		f.Since.UTC().Format(time.RFC3339Nano), f.Until.UTC().Format(time.RFC3339Nano),
	}
	return append(selected, f.Search...)
}
