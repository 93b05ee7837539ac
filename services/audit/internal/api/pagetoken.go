package api

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"time"

	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
)

// Page tokens seal: microseconds since 1970 (8 bytes, big endian), position (8). They are bound to
// the filter, so that a token serves only the list that gave it.
const tokenBytes = 8 + 8

// pageToken returns the token for the page after next, or an empty one when there is no next page.
func (s *AuditService) pageToken(ctx context.Context, next *trail.Cursor, f trail.Filter) (string, error) {
	if next == nil {
		return "", nil
	}
	b := make([]byte, 0, tokenBytes)
	b = binary.BigEndian.AppendUint64(b, uint64(next.Time.UnixMicro())) // read back by the same conversion
	b = binary.BigEndian.AppendUint64(b, uint64(next.Position))         // positions are not negative
	return s.seal.close(ctx, binding(f), b)
}

// parsePageToken returns the position of a token that pageToken made for the same filter, or nil for an empty token.
func (s *AuditService) parsePageToken(ctx context.Context, token string, f trail.Filter) (*trail.Cursor, error) {
	if token == "" {
		return nil, nil // no token: the first page
	}
	b, err := s.seal.open(ctx, binding(f), token)
	if errors.Is(err, errNotSealed) || err == nil && len(b) != tokenBytes {
		return nil, invalid("page_token", "page_token", "must be next_page_token of the page before, with the same filters and made by this version of Audit; leave it out to start again")
	}
	if err != nil {
		return nil, err
	}
	micros, position := int64(binary.BigEndian.Uint64(b)), int64(binary.BigEndian.Uint64(b[8:])) // made by the opposite conversions
	return &trail.Cursor{Time: time.UnixMicro(micros).UTC(), Position: position}, nil
}

// binding hashes the filter with the lengths of its parts, so that no two filters read the same.
func binding(f trail.Filter) []byte {
	h := sha256.New()
	h.Write([]byte("page token"))
	for _, s := range []string{
		f.ActorID, f.ObjectType, f.ObjectID, f.OrganizationID, f.Action, string(f.Outcome), f.RequestID,
		f.Since.UTC().Format(time.RFC3339Nano), f.Until.UTC().Format(time.RFC3339Nano),
	} {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(s))))
		h.Write([]byte(s))
	}
	return h.Sum(nil)
}
