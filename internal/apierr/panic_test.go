package apierr

import (
	"errors"
	"strings"
	"testing"
)

// A panic of a call's goroutine is INTERNAL to the client; the log has the panic and where it was.
func TestRecover(t *testing.T) {
	fail := errors.New("fails")
	for name, c := range map[string]struct {
		work func() error
		want error
		says string
	}{
		"works":  {func() error { return nil }, nil, ""},
		"fails":  {func() error { return fail }, fail, ""},
		"panics": {func() error { panic("nil map") }, New(Internal, "INTERNAL", ""), "nil map"},
	} {
		t.Run(name, func(t *testing.T) {
			err := func() (err error) {
				defer Recover(&err)
				return c.work()
			}()
			if !errors.Is(err, c.want) {
				t.Fatalf("err = %v, want %v", err, c.want)
			}
			if c.says == "" {
				return
			}
			if e := From(err); strings.Contains(e.Message, c.says) || !strings.Contains(e.Error(), c.says) || !strings.Contains(e.Error(), "panic_test.go") {
				t.Errorf("the client is told %q, the log %q", e.Message, e.Error())
			}
		})
	}
}
