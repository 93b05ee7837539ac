package bench_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"
)

// BenchmarkSignIn is sign-ins a second over REST, through every sidecar, beside the bound: argon2id alone with the same parameters (19 MiB,
// two passes, one lane) on every core. Bound: ratio 0.93.
func BenchmarkSignIn(b *testing.B) {
	const slice = 3 * time.Second
	p := started(b)
	who := signUp(b, p)
	salt := []byte("0123456789abcdef")
	platformSide := func() (float64, error) {
		return rate(context.Background(), 2*runtime.NumCPU(), slice, func() error {
			_, err := signIn(p, who.email)
			return err
		})
	}
	boundSide := func() (float64, error) {
		return rate(context.Background(), runtime.NumCPU(), slice, func() error {
			argon2.IDKey([]byte(password), salt, 2, 19456, 1, 32)
			return nil
		})
	}
	var signIns, hashes, ratios []float64
	for b.Loop() {
		for range 2 {
			s, err := platformSide()
			if err != nil {
				b.Fatal(err)
			}
			h, err := boundSide()
			if err != nil {
				b.Fatal(err)
			}
			signIns, hashes, ratios = append(signIns, s), append(hashes, h), append(ratios, s/h)
		}
	}
	b.ReportMetric(median(signIns), "sign-ins/s")
	b.ReportMetric(median(hashes), "argon2id/s")
	b.ReportMetric(median(ratios), "ratio")
	b.ReportMetric(0.93, "ratio-bound")
	b.ReportMetric(0, "ns/op") // a round, which says nothing
}
