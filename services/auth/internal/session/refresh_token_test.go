package session

import (
	"crypto/rand"
	"testing"
)

func FuzzParseRefreshToken(f *testing.F) {
	t, err := newRefreshToken(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(t.compact())
	f.Add(t.compact() + "\n")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		if token, ok := parseRefreshToken(s); ok && token.compact() != s {
			t.Fatalf("%q is accepted and is written %q", s, token.compact())
		}
	})
}

func TestRefreshTokenRoundTrip(t *testing.T) {
	first, err := newRefreshToken(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	second, err := first.next(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if first.familyHash("") != second.familyHash("") || first.secretHash() == second.secretHash() {
		t.Fatal("the next token must share the family and nothing else")
	}
	if parsed, ok := parseRefreshToken(first.compact()); !ok || parsed != first {
		t.Fatalf("parse = %v, %v", parsed, ok)
	}
}
