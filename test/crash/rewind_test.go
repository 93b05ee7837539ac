package crash_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// noticesARewind is the control of the recorder: once the database was put back to what it had some
// events ago, and went on with others while nobody lived who remembers, it is the checkpoints of
// what was lost, and no others, that do not fit the last one.
func (r *recorder) noticesARewind(t *testing.T) {
	t.Helper()
	before := r.last(t)
	size := before.N - 3
	check.NoError(t, r.w.plat.RewindTrail(t.Context(), size))
	for range 2 {
		for _, u := range r.w.users {
			r.w.answered(t, "/api/v1/auth/sign-in", "", map[string]string{"email": u.email, "password": password})
		}
	}
	check.Within(t, time.Minute, "the trail is longer than it was", func() error {
		if head := r.w.lastPosition(t); head <= before.N {
			return fmt.Errorf("%d events, were %d", head, before.N)
		}
		return nil
	})
	lost := 0
	for _, c := range r.kept {
		if c.N > size {
			lost++
		}
	}
	last := r.last(t)
	wrong := r.inconsistent(t, last)
	if len(wrong) != lost {
		t.Errorf("%d checkpoints are of what was rewound, and these are noticed: %q", lost, wrong)
	}
	t.Logf("noticed, as it must: %q", wrong)
}
