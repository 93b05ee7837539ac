package api

import (
	"context"

	"google.golang.org/protobuf/proto"

	auditv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
)

// maxPageBytes ends a page early: a response has room for 4 MiB, and one event may be hundreds of
// KiB large.
const maxPageBytes = 2 << 20

// ListEvents returns one page of events, newest first.
func (s *AuditService) ListEvents(ctx context.Context, r *auditv1.ListEventsRequest) (*auditv1.ListEventsResponse, error) {
	f, err := filter(ctx, r)
	if err != nil {
		return nil, err
	}
	f.RequestID = r.GetRequestId()
	if err := text("request_id", f.RequestID); err != nil {
		return nil, err
	}
	if f.Until, err = at("end_time", r.GetEndTime()); err != nil {
		return nil, err
	}
	before, err := s.parsePageToken(ctx, r.GetPageToken(), f)
	if err != nil {
		return nil, err
	}
	events, next, err := s.trail.List(ctx, trail.Query{Filter: f, Before: before, Limit: int(r.GetPageSize())})
	if err != nil {
		return nil, err
	}
	response := &auditv1.ListEventsResponse{Events: make([]*auditv1.Event, 0, len(events))}
	size, reader := 0, readerOf(ctx)
	for i, e := range events {
		m := reader.stored(e)
		if size += proto.Size(m); size > maxPageBytes && i > 0 {
			last := events[i-1]
			next = &trail.Cursor{Time: last.Event.Time, Position: last.Position}
			break
		}
		response.Events = append(response.Events, m)
	}
	if response.NextPageToken, err = s.pageToken(ctx, next, f); err != nil {
		return nil, err
	}
	return response, nil
}
