package resource

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

const tagBytes = 12 // 16 characters; 96 bits are enough to tell revisions apart

// ETag returns the entity tag of one revision of a resource (RFC 9110, section 8.8.3, without the
// quotes). The creation time is part of it, so that a resource made again under an old id does not
// match the tags of its predecessor.
func ETag(id string, created time.Time, revision int64) string {
	h := sha256.New()
	h.Write([]byte(id))
	var numbers [16]byte
	binary.BigEndian.PutUint64(numbers[:8], uint64(created.UnixMicro())) // only mixed into the hash
	binary.BigEndian.PutUint64(numbers[8:], uint64(revision))            //nolint:gosec // only mixed into the hash
	h.Write(numbers[:])
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:tagBytes])
}

// CheckETag returns ABORTED (ETAG_MISMATCH) when the caller expects another tag than the current
// one. An empty expectation meets any.
func CheckETag(want, current string) error {
	if want == "" || want == current {
		return nil
	}
	return apierr.ETagMismatch()
}
