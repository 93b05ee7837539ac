package check_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// watched is a test whose end is looked at.
type watched struct {
	testing.TB

	said string
}

func (*watched) Helper() {}

func (w *watched) Fatal(args ...any) {
	w.said = fmt.Sprint(args...)
	runtime.Goexit()
}

func (w *watched) Fatalf(format string, args ...any) { w.Fatal(fmt.Sprintf(format, args...)) }

// said runs what ends a test or does not, and returns the last words.
func said(run func(t testing.TB)) string {
	w := &watched{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		run(w)
	}()
	<-done
	return w.said
}

func TestNoError(t *testing.T) {
	if got := said(func(t testing.TB) { check.NoError(t, nil) }); got != "" {
		t.Errorf("without an error it says %q", got)
	}
	if got := said(func(t testing.TB) { check.NoError(t, errors.New("the disk is full")) }); got != "the disk is full" {
		t.Errorf("with an error it says %q", got)
	}
}

func TestEventually(t *testing.T) {
	asked := 0
	if got := said(func(t testing.TB) {
		check.Eventually(t, "three questions", func() bool { asked++; return asked == 3 })
	}); got != "" || asked != 3 {
		t.Errorf("after %d questions it says %q", asked, got)
	}
}

func TestWithin(t *testing.T) {
	asked := 0
	try := func() error {
		if asked++; asked < 3 {
			return fmt.Errorf("answer %d", asked)
		}
		return nil
	}
	if got := said(func(t testing.TB) { check.Within(t, time.Minute, "the third answer", try) }); got != "" || asked != 3 {
		t.Errorf("after %d questions it says %q", asked, got)
	}
	got := said(func(t testing.TB) {
		check.Within(t, time.Millisecond, "a host", func() error { return errors.New("connection refused") })
	})
	for _, want := range []string{"a host", "1ms", "connection refused"} {
		if !strings.Contains(got, want) {
			t.Errorf("too late it says %q, want %q in it", got, want)
		}
	}
}

func TestOneOf(t *testing.T) {
	lost := errors.New("used")
	for want, fails := range map[string]func(i int) error{
		"": func(i int) error {
			if i == 3 {
				return nil
			}
			return fmt.Errorf("late: %w", lost)
		},
		"0 of 8 succeeded, want one": func(int) error { return lost },
		"8 of 8 succeeded, want one": func(int) error { return nil },
		"the disk is full": func(i int) error {
			if i == 3 {
				return nil
			}
			return errors.New("the disk is full")
		},
	} {
		if got := said(func(t testing.TB) { check.OneOf(t, 8, lost, fails) }); got != want {
			t.Errorf("it says %q, want %q", got, want)
		}
	}
}
