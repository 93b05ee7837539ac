package api

import (
	"context"

	auditv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
)

// ListEvents returns one page of events, newest first.
func (s *AuditService) ListEvents(ctx context.Context, r *auditv1.ListEventsRequest) (*auditv1.ListEventsResponse, error) {
	f, err := filter(r)
	if err != nil {
		return nil, err
	}
	f.RequestID = r.GetRequestId()
	if err := text("request_id", f.RequestID); err != nil {
		return nil, err
	}
	if f.Since, err = at("start_time", r.GetStartTime()); err != nil {
		return nil, err
	}
	if f.Until, err = at("end_time", r.GetEndTime()); err != nil {
		return nil, err
	}
	before, err := parsePageToken(r.GetPageToken(), f)
	if err != nil {
		return nil, err
	}
	events, next, err := s.trail.List(ctx, trail.Query{Filter: f, Before: before, Limit: int(r.GetPageSize())})
	if err != nil {
		return nil, err
	}
	response := &auditv1.ListEventsResponse{Events: make([]*auditv1.Event, 0, len(events)), NextPageToken: pageToken(next, f)}
	for _, e := range events {
		response.Events = append(response.Events, eventMessage(e.Event))
	}
	return response, nil
}
