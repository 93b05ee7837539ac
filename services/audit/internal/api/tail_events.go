package api

import (
	"encoding/base64"
	"encoding/binary"

	"google.golang.org/grpc"

	auditv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
)

// TailEvents sends events as they are stored until the client leaves or its token expires.
func (s *AuditService) TailEvents(r *auditv1.TailEventsRequest, stream grpc.ServerStreamingServer[auditv1.TailEventsResponse]) error {
	f, err := filter(r)
	if err != nil {
		return err
	}
	after, err := parseCursor(r.GetCursor())
	if err != nil {
		return err
	}
	return s.trail.Tail(stream.Context(), f, after, func(events []trail.Stored, upTo int64) error {
		for _, e := range events {
			if err := stream.Send(&auditv1.TailEventsResponse{Event: eventMessage(e.Event), Cursor: cursor(e.Position)}); err != nil {
				return err
			}
		}
		if len(events) > 0 {
			return nil
		}
		return stream.Send(&auditv1.TailEventsResponse{Cursor: cursor(upTo)})
	})
}

// Cursors are base64url of: version (1 byte), position (8, big endian). A cursor says nothing about the filter: what it selects comes
// from the request, which was admitted for it.
const (
	cursorVersion = 1
	cursorBytes   = 1 + 8
)

func cursor(position int64) string {
	b := binary.BigEndian.AppendUint64([]byte{cursorVersion}, uint64(position)) // positions are not negative
	return base64.RawURLEncoding.EncodeToString(b)
}

// parseCursor returns the position of a cursor, nil for an empty one. The domain knows whether the trail has it.
func parseCursor(s string) (*int64, error) {
	if s == "" {
		return nil, nil // no cursor: from now on
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != cursorBytes || b[0] != cursorVersion || len(s) != base64.RawURLEncoding.EncodedLen(cursorBytes) || b[1] > 0x7f {
		return nil, invalid("cursor", "cursor", "must be the cursor of a message of an earlier stream; leave it out to begin now")
	}
	position := int64(binary.BigEndian.Uint64(b[1:])) // the sign bit was looked at
	return &position, nil
}
