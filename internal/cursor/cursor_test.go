package cursor

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// same compares cursors.
var same = cmp.Options{cmp.AllowUnexported(Snapshot{}), cmpopts.EquateEmpty()}

func moment(second int) time.Time { return time.Date(2031, 1, 1, 0, 0, second, 7000, time.UTC) }

// head is what a statement saw whose newest writer is the last transaction that it could see.
func head(t testing.TB, text string, second int) Head {
	t.Helper()
	s := snapshot(t, text)
	h, err := Saw{Snapshot: text, System: -7, Timeline: "0000000A", Moment: moment(second), Newest: s.end - 1}.Head()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func rows(writers ...uint64) []Row[uint64] {
	all := make([]Row[uint64], len(writers))
	for i, w := range writers {
		all[i] = Row[uint64]{Place: Place{Writer: w, Key: string(rune('a' + i))}, Value: w}
	}
	return all
}

func advance(t testing.TB, c Cursor, h Head, limit int, writers ...uint64) (told []uint64, cursors []Cursor, next Cursor, more bool) {
	t.Helper()
	all, next, more, err := Advance(c, h, rows(writers...), limit)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range all {
		told, cursors = append(told, one.Value), append(cursors, one.After)
	}
	return told, cursors, next, more
}

// A first read tells whatever is there, in batches up to the snapshot of its first statement, and a
// later one what changed since; the cursor of the last row of a read is that after the read.
func TestReads(t *testing.T) {
	told, cursors, c, more := advance(t, Cursor{}, head(t, "100:110:100", 1), 3, 0, 105, 99)
	if diff := cmp.Diff([]uint64{0, 105, 99}, told); diff != "" || !more || !c.First() || c.Place.Key != "c" {
		t.Fatalf("told %v, then %+v, %t", told, c, more)
	}
	if cursors[1].Place.Key != "b" || cursors[1].Until.Snapshot.String() != "100:110:100" || !cursors[1].Since().Equal(moment(1)) {
		t.Errorf("after the second row %+v", cursors[1])
	}
	// 112 came after the first statement: it is left to the next read, so there is more. 900 is another
	// server's.
	told, cursors, c, more = advance(t, c, head(t, "100:120:100", 2), 3, 112, 900)
	if diff := cmp.Diff([]uint64{900}, told); diff != "" || !more || c.First() || c.Seen.Snapshot.String() != "100:110:100" || c.Place != (Place{}) {
		t.Fatalf("told %v, then %+v, %t", told, c, more)
	}
	if diff := cmp.Diff(c, cursors[0], same); diff != "" {
		t.Errorf("the last row leads to (-the end of the read +got):\n%s", diff)
	}
	told, _, c, more = advance(t, c, head(t, "100:130:100,125", 3), 9, 100, 109, 112, 900)
	if diff := cmp.Diff([]uint64{112}, told); diff != "" || more || c.Seen.Snapshot.String() != "100:130:100,125" || !c.Since().Equal(moment(3)) {
		t.Errorf("told %v, then %+v, %t", told, c, more)
	}
}

// What is above the newest writer is of nobody, and of no cursor.
func TestHeadEndsWithTheNewestWriter(t *testing.T) {
	for newest, want := range map[uint64]string{0: "3:3:", 50: "51:51:", 105: "100:106:100", 109: "100:110:100,108", 900: "100:110:100,108"} {
		h, err := Saw{Snapshot: "100:110:100,108", Timeline: "00000001", Newest: newest}.Head()
		if got := h.Mark.Snapshot.String(); err != nil || got != want || h.end != 110 {
			t.Errorf("with %d it saw %s, %v, want %s", newest, got, err, want)
		}
	}
	for name, saw := range map[string]Saw{"no snapshot": {Timeline: "00000001"}, "no timeline": {Snapshot: "3:3:", Timeline: "x"}} {
		if _, err := saw.Head(); err == nil {
			t.Errorf("%s is read", name)
		}
	}
}

func TestAnotherStateOfTheDatabase(t *testing.T) {
	c := At(head(t, "100:110:", 1))
	older, promoted, moved := head(t, "90:109:", 2), head(t, "100:120:", 2), head(t, "100:120:", 2)
	promoted.Origin.Timeline++
	moved.Origin.System++
	for name, h := range map[string]Head{"older": older, "promoted": promoted, "moved": moved} {
		if _, _, _, err := Advance(c, h, rows(115), 9); !errors.Is(err, Expired()) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// fixed is a key for good.
type fixed struct{}

func (fixed) CursorKey(context.Context) ([]byte, error) { return bytes.Repeat([]byte{7}, 32), nil }

func TestTexts(t *testing.T) {
	now := moment(0)
	texts := NewTexts(fixed{}, time.Hour, func() time.Time { return now })
	many := "1:9000000:1"
	for id := 2; id < 5000; id += 2 {
		many += "," + strconv.Itoa(id*1000)
	}
	long := At(head(t, many, 1))
	long.Until, long.Place = long.Seen, Place{Writer: 1<<64 - 1, Key: strings.Repeat("k", MaxKey)}
	for name, c := range map[string]Cursor{
		"a first read": {Origin: Origin{System: 1 << 63, Timeline: 1}, Until: Mark{Snapshot: snapshot(t, "5:9:5"), Time: moment(2)}, Place: Place{Key: "k"}},
		"a later read": {Seen: Mark{Snapshot: snapshot(t, "5:9:5"), Time: moment(1)}, Until: Mark{Snapshot: snapshot(t, "6:9:6,8"), Time: moment(2)}, Place: Place{5, "k"}},
		"between":      At(head(t, "5:9:5", 1)), "the longest": long,
	} {
		text, err := texts.Seal(t.Context(), c, "users", "o")
		if err != nil || len(text) > MaxText {
			t.Fatalf("%s: %d bytes, %v", name, len(text), err)
		}
		got, err := texts.Open(t.Context(), text, "users", "o")
		if diff := cmp.Diff(c, got, same); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
		for what, open := range map[string]func() (Cursor, error){
			"of another list": func() (Cursor, error) { return texts.Open(t.Context(), text, "users", "p") },
			"cut":             func() (Cursor, error) { return texts.Open(t.Context(), text[:len(text)-1], "users", "o") },
			"too old": func() (Cursor, error) {
				late := NewTexts(fixed{}, time.Hour, func() time.Time { return c.Since().Add(time.Hour + time.Microsecond) })
				return late.Open(t.Context(), text, "users", "o")
			},
		} {
			if _, err := open(); !errors.Is(err, Expired()) {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
	}
	if c, err := texts.Open(t.Context(), "", "users"); err != nil || c.Origin != (Origin{}) || !c.First() {
		t.Errorf("no text is %+v, %v", c, err)
	}
}

// A form is read to the byte or not at all.
func FuzzForm(f *testing.F) {
	f.Add(At(head(f, "5:9:5", 1)).form())
	f.Add(Cursor{Seen: Mark{snapshot(f, "5:9:5"), moment(1)}, Until: Mark{snapshot(f, "6:9:6,8"), moment(2)}, Place: Place{5, "k"}}.form())
	f.Add([]byte{version})
	f.Fuzz(func(t *testing.T, form []byte) {
		c, err := parse(form)
		if err != nil {
			return
		}
		again, err := parse(c.form())
		if diff := cmp.Diff(c, again, same); err != nil || diff != "" {
			t.Errorf("%x is read as %+v and again as (-want +got) %s, %v", form, c, diff, err)
		}
	})
}

// FuzzOpen: a text that Seal did not make is Expired, and nothing worse.
func FuzzOpen(f *testing.F) {
	texts := NewTexts(fixed{}, time.Hour, func() time.Time { return moment(2) })
	ours := At(head(f, "5:9:5", 1))
	text, err := texts.Seal(f.Context(), ours, "users", "o")
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{text, text[1:], strings.ToUpper(text), text + "=", text + "\n", strings.Repeat("A", MaxText+1), "\x00", "é"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, sent string) {
		c, err := texts.Open(t.Context(), sent, "users", "o")
		want := ours // the only one that was ever sealed, by whichever of the fuzzer's processes
		if sent == "" {
			want = Cursor{}
		}
		diff := cmp.Diff(want, c, same)
		if err == nil && (diff != "" || strings.ContainsAny(sent, "\r\n=")) || err != nil && !errors.Is(err, Expired()) {
			t.Errorf("%q is read as %+v, %v", sent, c, err)
		}
	})
}
