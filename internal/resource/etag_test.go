package resource

import (
	"errors"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

func TestOfTellsRevisionsApart(t *testing.T) {
	at := time.Unix(1, 0)
	seen := map[string]bool{}
	for _, tag := range []string{ETag("a", at, 1), ETag("a", at, 2), ETag("b", at, 1), ETag("a", at.Add(time.Microsecond), 1)} {
		if len(tag) != 16 || seen[tag] {
			t.Errorf("%q is not a new tag of 16 characters", tag)
		}
		seen[tag] = true
	}
	if ETag("a", at, 1) != ETag("a", at.UTC(), 1) {
		t.Error("the tag depends on the time zone")
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		want, current string
		ok            bool
	}{{"", "x", true}, {"x", "x", true}, {"y", "x", false}, {"*", "x", false}, {"X", "x", false}} {
		err := CheckETag(c.want, c.current)
		if c.ok != (err == nil) {
			t.Errorf("CheckETag(%q, %q) = %v", c.want, c.current, err)
		}
		if err != nil && !errors.Is(err, apierr.New(apierr.Aborted, "ETAG_MISMATCH", "")) {
			t.Errorf("CheckETag(%q, %q) = %v, want ETAG_MISMATCH", c.want, c.current, err)
		}
	}
}
