package factor

import (
	"testing"
	"time"
)

// RFC 6238, appendix B, with SHA-1; a code of six digits is the end of one of eight.
func TestVectors(t *testing.T) { // R12
	secret := []byte("12345678901234567890")
	for at, want := range map[int64]string{
		59: "94287082", 1111111109: "07081804", 1111111111: "14050471", 1234567890: "89005924", 2000000000: "69279037", 20000000000: "65353130",
	} {
		got, err := code(secret, stepAt(time.Unix(at, 0)))
		if err != nil || got != want[2:] {
			t.Errorf("at %d: %s, %v; want %s", at, got, err, want[2:])
		}
	}
}

func TestWindow(t *testing.T) { // R12
	secret, now := []byte("12345678901234567890"), time.Unix(1_000_000_000, 0)
	for offset, want := range map[int64]bool{-2: false, -1: true, 0: true, 1: false, 2: false} {
		given, err := code(secret, stepAt(now)+offset)
		if err != nil {
			t.Fatal(err)
		}
		step, ok, err := match(secret, given, now)
		if err != nil || ok != want || ok && step != stepAt(now)+offset {
			t.Errorf("step %+d: %d, %t, %v; want %t", offset, step-stepAt(now), ok, err, want)
		}
		if _, spaced, _ := match(secret, given[:3]+" "+given[3:], now); spaced != want {
			t.Errorf("step %+d in two groups: %t", offset, spaced)
		}
	}
	for _, given := range []string{"", "000", "0000000", "abcdef", "１２３４５６"} {
		if _, ok, err := match(secret, given, now); ok || err != nil {
			t.Errorf("%q: %t, %v", given, ok, err)
		}
	}
}

func TestRecoveryCodes(t *testing.T) {
	codes, hashes := newRecoveryCodes("u")
	seen := map[string]bool{}
	for i, c := range codes {
		if len(c) != 29 || c[4] != '-' || seen[c] {
			t.Errorf("code %q", c)
		}
		seen[c] = true
		if hashCode("u", " "+c) != hashes[i] || hashCode("v", c) == hashes[i] {
			t.Errorf("the hash of %q is not that of the user's code", c)
		}
	}
	if len(codes) != 10 {
		t.Errorf("%d codes", len(codes))
	}
}
