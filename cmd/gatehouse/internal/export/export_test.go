package export_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/export"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/export/format"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

func raw(n int) json.RawMessage {
	return fmt.Appendf(nil, `{"id":"%d","time":"2026-11-22T10:00:%02dZ","action":"user.updated","outcome":"success","count":"1","source":"identity"}`, n, n%60)
}

// trail is the source of events 1 to last; a cursor is the number of an event. It ends after the
// last.
func trail(last int) export.Source {
	return func(_ context.Context, cursor string, each func(json.RawMessage, string) error) error {
		after, _ := strconv.Atoi(cursor) // none is the beginning
		for n := after + 1; n <= last; n++ {
			if err := each(raw(n), strconv.Itoa(n)); err != nil {
				return err
			}
		}
		return each(nil, strconv.Itoa(max(after, last)))
	}
}

// receiver keeps ids, and fails as it is told.
type receiver struct {
	batches []export.Batch
	fail    func(attempt int) error
	tries   int
}

func (r *receiver) Deliver(_ context.Context, b export.Batch) error {
	r.tries++
	if r.fail != nil {
		if err := r.fail(r.tries); err != nil {
			return err
		}
	}
	r.batches = append(r.batches, b)
	return nil
}

func (r *receiver) ids() (ids []string) {
	for _, b := range r.batches {
		for _, e := range b.Events {
			ids = append(ids, e.ID)
		}
	}
	return ids
}

func numbers(from, to int) (ids []string) {
	for n := from; n <= to; n++ {
		ids = append(ids, strconv.Itoa(n))
	}
	return ids
}

func open(t *testing.T, path string) *export.State {
	t.Helper()
	s, _, closed, err := export.OpenState(path, export.Of{Target: "t", Format: "f", Query: "q"})
	check.NoError(t, err)
	t.Cleanup(closed)
	closed()
	return s
}

func run(t *testing.T, path string, source export.Source, r export.Receiver) (told []string, err error) {
	t.Helper()
	x := export.Export{
		Source: source, Receiver: r, State: open(t, path), Line: format.Writer{Name: format.OCSF}.Line,
		Size: 10, Bytes: 1 << 20, Wait: time.Second, Pause: time.Millisecond,
		Told: func(err error) { told = append(told, err.Error()) }, Done: func(export.Progress) {},
	}
	return told, x.Run(t.Context())
}

func TestAnExportGoesOnWhereTheLastOneWas(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state")
	first, second, third := &receiver{}, &receiver{}, &receiver{}
	for _, c := range []struct {
		last int
		to   *receiver
	}{{25, first}, {25, second}, {37, third}} {
		if told, err := run(t, path, trail(c.last), c.to); err != nil || len(told) > 0 {
			t.Fatalf("%v %v", told, err)
		}
	}
	if !slices.Equal(first.ids(), numbers(1, 25)) || len(second.ids()) > 0 || !slices.Equal(third.ids(), numbers(26, 37)) {
		t.Errorf("delivered %v, then %v, then %v", first.ids(), second.ids(), third.ids())
	}
	if b := first.batches; len(b) != 3 || b[0].First != 1 || b[1].First != 11 || b[2].First != 21 || third.batches[0].First != 26 {
		t.Errorf("batches of %d", len(b))
	}
}

// Who does not acknowledge gets the batch again; who refuses stops the export where it is.
func TestWhatIsNotAcknowledgedIsDeliveredAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state")
	busy := &receiver{fail: func(try int) error {
		switch {
		case try < 4:
			return fmt.Errorf("busy %d", try)
		case try == 5:
			return export.Final(errors.New("no"))
		default:
			return nil
		}
	}}
	told, err := run(t, path, trail(30), busy)
	if err == nil || err.Error() != "no; 10 events are delivered, and the next run goes on after them" || !slices.Equal(told, []string{"busy 1", "busy 2", "busy 3"}) {
		t.Errorf("%v, told %q", err, told)
	}
	rest := &receiver{}
	if _, err := run(t, path, trail(30), rest); err != nil || !slices.Equal(append(busy.ids(), rest.ids()...), numbers(1, 30)) {
		t.Errorf("%v: delivered %v, then %v", err, busy.ids(), rest.ids())
	}
}

// The state is never ahead of the receiver: what is read and not acknowledged is not in it.
func TestTheStateIsSavedAfterTheAcknowledgement(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state")
	var seen []string
	look := &receiver{}
	look.fail = func(int) error {
		text, err := os.ReadFile(path)
		check.NoError(t, err)
		var s export.State
		check.NoError(t, json.Unmarshal(text, &s))
		seen = append(seen, fmt.Sprint(s.Cursor, "/", s.Events))
		return nil
	}
	_, err := run(t, path, trail(25), look)
	check.NoError(t, err)
	if want := []string{"/0", "10/10", "20/20"}; !slices.Equal(seen, want) {
		t.Errorf("before each delivery it was %v, want %v", seen, want)
	}
}

func TestStateRefusals(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state")
	of := export.Of{Target: "t", Format: "f", Query: "q"}
	s, fresh, closed, err := export.OpenState(path, of)
	if err != nil || !fresh {
		t.Fatal(fresh, err)
	}
	check.NoError(t, s.Save())
	refused := func(of export.Of, want string) {
		t.Helper()
		if _, _, _, err := export.OpenState(path, of); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	refused(of, "another export is running")
	closed()
	again, fresh, closed, err := export.OpenState(path, of)
	if err != nil || fresh || again.ID != s.ID {
		t.Errorf("%v %v", fresh, err)
	}
	closed()
	refused(export.Of{Target: "other", Format: "f", Query: "q"}, "another export")
	check.NoError(t, os.WriteFile(path, []byte("{"), 0o600))
	refused(of, "not the state of an export")
	if _, _, _, err := export.OpenState(filepath.Join(path, "x"), of); err == nil || !strings.Contains(err.Error(), "name a file") {
		t.Error(err)
	}
}

// What a killed run has half written is cut; what is not its own is never touched.
func TestFilesAreCutToWhatIsDelivered(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, out := filepath.Join(dir, "state"), filepath.Join(dir, "out")
	write := func(last int) error {
		s, fresh, closed, err := export.OpenState(path, export.Of{})
		check.NoError(t, err)
		defer closed()
		f, err := export.OpenFile(out, []byte("header\n"), s, fresh)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		x := export.Export{
			Source: trail(last), Receiver: f, State: s, Line: func(e format.Event) ([]byte, error) { return []byte(e.ID + "\n"), nil },
			Size: 10, Bytes: 1 << 20, Wait: time.Second, Done: func(export.Progress) {},
		}
		return x.Run(t.Context())
	}
	check.NoError(t, write(15))
	half, err := os.OpenFile(out, os.O_APPEND|os.O_WRONLY, 0)
	check.NoError(t, err)
	_, err = half.WriteString("16\n17\n1")
	check.NoError(t, errors.Join(err, half.Close()))
	check.NoError(t, write(20))
	want := "header\n" + strings.Join(numbers(1, 20), "\n") + "\n"
	if got, err := os.ReadFile(out); err != nil || string(got) != want {
		t.Errorf("%v: %s", err, got)
	}
	check.NoError(t, os.Truncate(out, 5))
	if err := write(20); err == nil || !strings.Contains(err.Error(), "shorter") {
		t.Error(err)
	}
	if _, err := export.OpenFile(out, nil, &export.State{}, true); err == nil || !strings.Contains(err.Error(), "exists") {
		t.Error(err)
	}
	s, fresh, closed, err := export.OpenState(filepath.Join(dir, "second"), export.Of{})
	check.NoError(t, err)
	defer closed()
	if _, err := export.OpenFile(filepath.Join(out, "x"), nil, s, fresh); err == nil {
		t.Error("there is a file in a file")
	}
	if _, err := os.Stat(filepath.Join(dir, "second")); err == nil {
		t.Error("what never began has a state, by which another file is refused")
	}
}

// A run that was killed before it delivered anything goes on, wherever it was; a file that is not
// its own is left alone.
func TestAFileThatWasHardlyBegunGoesOn(t *testing.T) {
	t.Parallel()
	const header = "header\n"
	for name, c := range map[string]struct {
		left func(out string) error // by the killed run, instead of the file with its header
		want string
	}{
		"with its header":          {func(string) error { return nil }, ""},
		"before there is a file":   {os.Remove, ""},
		"before anything is in it": {func(out string) error { return os.Truncate(out, 0) }, ""},
		"in its header":            {func(out string) error { return os.Truncate(out, 3) }, ""},
		"with another's file":      {func(out string) error { return os.WriteFile(out, []byte("mine"), 0o600) }, "exists"},
		"with a link": {func(out string) error {
			return errors.Join(os.Rename(out, out+"2"), os.Symlink(out+"2", out))
		}, "exists"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, out := filepath.Join(t.TempDir(), "state"), filepath.Join(t.TempDir(), "out")
			begin := func() error {
				s, fresh, closed, err := export.OpenState(path, export.Of{})
				check.NoError(t, err)
				defer closed()
				f, err := export.OpenFile(out, []byte(header), s, fresh)
				if err != nil {
					return err
				}
				return f.Close()
			}
			check.NoError(t, errors.Join(begin(), c.left(out))) // its state is not saved again
			before, _ := os.ReadFile(out)
			err := begin()
			after, _ := os.ReadFile(out)
			if c.want == "" && (err != nil || string(after) != header) {
				t.Errorf("%v: %q", err, after)
			}
			if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || string(after) != string(before)) {
				t.Errorf("%v: %q", err, after)
			}
		})
	}
}

// Events that are not wanted are passed over, and what makes no line ends the export before it.
func TestWantedEvents(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state")
	r := &receiver{}
	x := export.Export{
		Source: trail(20), Receiver: r, State: open(t, path), Size: 3, Bytes: 1 << 20, Wait: time.Second, Done: func(export.Progress) {},
		Wants: func(e format.Event) bool { return strings.HasSuffix(e.ID, "5") },
		Line:  func(e format.Event) ([]byte, error) { return []byte(e.ID), nil },
	}
	check.NoError(t, x.Run(t.Context()))
	if !slices.Equal(r.ids(), []string{"5", "15"}) || open(t, path).Cursor != "20" {
		t.Errorf("%v, cursor %s", r.ids(), open(t, path).Cursor)
	}
	x.State, x.Line = open(t, path), func(format.Event) ([]byte, error) { return nil, errors.New("too long") }
	x.Source = trail(40)
	if err := x.Run(t.Context()); err == nil || open(t, path).Cursor != "20" {
		t.Error(err)
	}
	if !bytes.Contains([]byte(open(t, path).Last), []byte("15")) {
		t.Error("the last event is not the one that was delivered")
	}
}
