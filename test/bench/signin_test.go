package bench_test

import (
	"context"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// BenchmarkSignIn is sign-ins a second over REST, through every sidecar, beside the bound: argon2id
// alone with the same parameters (19 MiB, two passes, one lane) on every core. Bound: ratio 0.93.
// It also prints the CPU that a sign-in costs, in ms: all of it and that of the hash alone, the
// difference with its bound of 4.5 ms, and each process; and what of that the platform would have
// used meanwhile without a sign-in, which weighs more the fewer of them the machine has room for.
func BenchmarkSignIn(b *testing.B) {
	const slice = 3 * time.Second
	p := started(b)
	who := signUp(b, p)
	pids := processes(b, p)
	quiet := used(b, pids)
	<-time.After(slice)
	atRest := (total(used(b, pids)) - total(quiet)) / slice.Seconds()
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
	var signIns, hashes, ratios, hashCPU []float64
	cpu := map[string][]float64{}
	for b.Loop() {
		for range 2 {
			before := used(b, pids)
			s, err := platformSide()
			check.NoError(b, err)
			<-time.After(100 * time.Millisecond) // the last events arrive in the trail
			for name, ms := range used(b, pids) {
				cpu[name] = append(cpu[name], (ms-before[name])/(s*slice.Seconds()))
			}
			began := ownCPU(b)
			h, err := boundSide()
			check.NoError(b, err)
			hashCPU = append(hashCPU, (ownCPU(b)-began)/(h*slice.Seconds()))
			signIns, hashes, ratios = append(signIns, s), append(hashes, h), append(ratios, s/h)
		}
	}
	all := 0.0
	for name, ms := range cpu {
		b.ReportMetric(median(ms), name+"-ms")
		all += median(ms)
	}
	b.ReportMetric(all, "cpu-ms")
	b.ReportMetric(median(hashCPU), "hash-ms")
	b.ReportMetric(all-median(hashCPU), "beside-hash-ms")
	b.ReportMetric(4.5, "beside-hash-ms-bound")
	b.ReportMetric(atRest/median(signIns), "at-rest-ms")
	b.ReportMetric(median(signIns), "sign-ins/s")
	b.ReportMetric(median(hashes), "argon2id/s")
	b.ReportMetric(median(ratios), "ratio")
	b.ReportMetric(0.93, "ratio-bound")
	b.ReportMetric(0, "ns/op") // a round, which says nothing
}

// ownCPU returns the milliseconds of CPU that this process has used so far.
func ownCPU(b *testing.B) float64 {
	b.Helper()
	var usage syscall.Rusage
	check.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e6
}
