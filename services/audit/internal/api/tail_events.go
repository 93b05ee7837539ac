package api

import (
	"context"
	"encoding/binary"
	"errors"

	"google.golang.org/grpc"

	"github.com/gatehouse/gatehouse/internal/resource"
	auditv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
)

// TailEvents sends events as they are stored until the client leaves or its token expires, or what
// is stored until it has sent all of that.
func (s *AuditService) TailEvents(r *auditv1.TailEventsRequest, stream grpc.ServerStreamingServer[auditv1.TailEventsResponse]) error {
	f, err := filter(stream.Context(), r)
	if err != nil {
		return err
	}
	ctx := stream.Context()
	after, err := s.parseCursor(ctx, r.GetCursor())
	if err != nil {
		return err
	}
	reader := readerOf(ctx)
	var reached int64
	send := func(m *auditv1.TailEventsResponse, position int64) (err error) {
		reached = position
		if m.Cursor, err = s.cursor(ctx, position); err != nil {
			return err
		}
		return stream.Send(m)
	}
	tell := func(events []trail.Stored, upTo int64) error {
		for _, e := range events {
			if err := send(&auditv1.TailEventsResponse{Event: reader.stored(e)}, e.Position); err != nil {
				return err
			}
		}
		if len(events) > 0 {
			return nil
		}
		return send(&auditv1.TailEventsResponse{}, upTo)
	}
	if !r.GetStoredOnly() {
		return s.trail.Tail(ctx, f, after, tell)
	}
	if err := s.trail.Stored(ctx, f, after, tell); err != nil {
		return err
	}
	return send(&auditv1.TailEventsResponse{End: true}, reached)
}

// Cursors seal a position (8 bytes, big endian). A cursor says nothing about the filter: what it
// selects comes from the request, which was admitted for it.
const cursorBytes = 8

// forCursors is what cursors are sealed for.
const forCursors = "cursor"

func (s *AuditService) cursor(ctx context.Context, position int64) (string, error) {
	return s.seal.Close(ctx, []byte(forCursors), binary.BigEndian.AppendUint64(nil, uint64(position))) //nolint:gosec // positions are not negative
}

// parseCursor returns the position of a cursor, nil for an empty one. The domain knows whether the trail has it.
func (s *AuditService) parseCursor(ctx context.Context, text string) (*int64, error) {
	if text == "" {
		return nil, nil // no cursor: from now on
	}
	b, err := s.seal.Open(ctx, []byte(forCursors), text)
	if errors.Is(err, resource.ErrNotSealed) || err == nil && len(b) != cursorBytes {
		return nil, invalid("cursor", "cursor", "must be the cursor of a message of an earlier stream, made by this version of Audit: "+
			"if another version made it, list the events since then and tail without a cursor")
	}
	if err != nil {
		return nil, err
	}
	position := int64(binary.BigEndian.Uint64(b)) //nolint:gosec // made by the opposite conversion
	return &position, nil
}
