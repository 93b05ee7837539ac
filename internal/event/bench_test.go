package event_test

import (
	"crypto/rand"
	"testing"

	"github.com/gatehouse/gatehouse/internal/event"
)

// What every audited request pays before its transaction.
func BenchmarkSeal(b *testing.B) {
	e := full()
	for b.Loop() {
		if _, err := e.Seal(rand.Reader); err != nil {
			b.Fatal(err)
		}
	}
}

// What Audit pays for each event that arrives.
func BenchmarkVerify(b *testing.B) {
	s := seal(b, full())
	for b.Loop() {
		if err := event.Verify(s); err != nil {
			b.Fatal(err)
		}
	}
}
