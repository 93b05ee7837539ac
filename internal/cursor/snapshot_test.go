package cursor

import (
	"slices"
	"strconv"
	"strings"
	"testing"
)

func snapshot(t testing.TB, text string) Snapshot {
	t.Helper()
	s, err := ParseSnapshot(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSnapshot(t *testing.T) {
	for _, text := range []string{"10:10:", "10:12:10", "700:18446744073709551615:700,705,18446744073709551614"} {
		s := snapshot(t, text)
		if s.String() != text {
			t.Errorf("%s is written %s", text, s)
		}
		again, rest, err := takeSnapshot(append(s.append(nil), "rest"...))
		if err != nil || again.String() != text || string(rest) != "rest" {
			t.Errorf("%s is read as %s and %q, %v", text, again, rest, err)
		}
	}
	s := snapshot(t, "10:20:10,13,19")
	var seen []uint64
	for id := range uint64(25) {
		if s.Sees(id) {
			seen = append(seen, id)
		}
	}
	if want := []uint64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 14, 15, 16, 17, 18}; !slices.Equal(seen, want) {
		t.Errorf("%s saw %v", s, seen)
	}
	for end, want := range map[uint64]string{30: "10:20:10,13,19", 19: "10:19:10,13", 18: "10:18:10,13", 13: "10:13:10", 10: "10:10:"} {
		if got := s.Below(end).String(); got != want {
			t.Errorf("below %d it saw %s, want %s", end, got, want)
		}
	}
	if (Snapshot{}).Sees(0) || !(Snapshot{}).IsZero() || s.IsZero() {
		t.Error("the zero snapshot saw something")
	}
}

func TestNoSnapshot(t *testing.T) {
	for _, text := range []string{"", "10", "10:20", "10:20:a", "10:20:20", "10:20:13,13", "10:20:13,12", "10:x:", "0:0:", "10:20:10:", "-1:5:"} {
		if s, err := ParseSnapshot(text); err == nil {
			t.Errorf("%q is read as %s", text, s)
		}
	}
}

// However many transactions run, the form is bounded; what is left out was not seen, and what ran
// first is still known.
func TestSnapshotIsBounded(t *testing.T) {
	var running []string
	for id := range uint64(2000) {
		running = append(running, strconv.FormatUint(1000+id*1000, 10))
	}
	whole := snapshot(t, "1000:9000000:"+strings.Join(running, ","))
	s := whole.bounded()
	if size := len(s.append(nil)); size > maxSnapshot || size < maxSnapshot/2 {
		t.Errorf("%d bytes of %d", size, maxSnapshot)
	}
	for id := uint64(900); id < 9_000_100; id += 50 {
		if s.Sees(id) && !whole.Sees(id) {
			t.Fatalf("the bounded snapshot saw %d", id)
		}
	}
	if !s.Sees(999) || s.Sees(1000) || !s.Sees(1001) || s.IsZero() {
		t.Errorf("it saw %s", s)
	}
}
