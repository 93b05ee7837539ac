package bench_test

import (
	"context"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	"github.com/gatehouse/gatehouse/internal/testkit/platform"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// BenchmarkSignInMemory is what Auth has resident at most while people sign in as fast as it lets
// them, for a minute in all, and the sign-ins a second; beside those of an Auth whose collector
// runs seldom and without a limit (GOGC 400), in interleaved slices. Both run beside the platform's
// own and are asked on their gRPC ports. Bound: what it has at rest + 1.5 times the memory of all
// hashes that are made at once (19 MiB on each core) + 32 MiB.
func BenchmarkSignInMemory(b *testing.B) {
	const slice = 6 * time.Second
	p := started(b)
	who := signUp(b, p)
	limited := secondAuth(b, p, 1)
	seldom := secondAuth(b, p, 2, "GOGC=400", "GOMEMLIMIT=off")
	atRest := limited.resident(b)
	var rates, peaks, seldomRates, seldomPeaks, ratios []float64
	for b.Loop() {
		for range 2 {
			rate, peak := limited.load(b, who, slice)
			seldomRate, seldomPeak := seldom.load(b, who, slice)
			rates, peaks, ratios = append(rates, rate), append(peaks, peak), append(ratios, rate/seldomRate)
			seldomRates, seldomPeaks = append(seldomRates, seldomRate), append(seldomPeaks, seldomPeak)
		}
	}
	b.ReportMetric(atRest, "MiB-at-rest")
	b.ReportMetric(slices.Max(peaks), "MiB")
	b.ReportMetric(atRest+1.5*19*float64(runtime.NumCPU())+32, "MiB-bound")
	b.ReportMetric(slices.Max(seldomPeaks), "gogc400-MiB")
	b.ReportMetric(median(rates), "sign-ins/s")
	b.ReportMetric(median(seldomRates), "gogc400-sign-ins/s")
	b.ReportMetric(median(ratios), "ratio")
	b.ReportMetric(0, "ns/op") // a round, which says nothing
}

// auth is an Auth that runs beside the platform's.
type auth struct {
	pid    int
	conn   *grpc.ClientConn
	client authv1.AuthServiceClient
}

// secondAuth starts one with the environment of the platform's own and more, on ports that its
// number shifts.
func secondAuth(b *testing.B, p *platform.Platform, number int, more ...string) auth {
	b.Helper()
	cmd := exec.Command(filepath.Join(p.Bin, "auth"), "serve")
	cmd.Env = append(environmentOf(b, p, "auth"), alone(1000*number)...)
	cmd.Env = append(cmd.Env, more...)
	run(b, cmd)
	conn := dial(b, 8082+aloneOffset+1000*number)
	serving(b, conn, 30*time.Second)
	<-time.After(5 * time.Second) // at rest
	return auth{pid: cmd.Process.Pid, conn: conn, client: authv1.NewAuthServiceClient(conn)}
}

func (a auth) resident(b *testing.B) float64 {
	b.Helper()
	return resident(b, map[string]int{"auth": a.pid})["auth"]
}

// load signs in twice as many at a time as there are cores, and returns how many did so a second
// and the MiB at the highest look.
func (a auth) load(b *testing.B, who person, d time.Duration) (signIns, peak float64) {
	b.Helper()
	ctx := metadata.AppendToOutgoingContext(b.Context(), request.CallerHeader, grpctest.SPIFFE("gateway"))
	var done atomic.Bool
	looked := make(chan float64)
	go func() {
		most := 0.0
		for !done.Load() {
			most = max(most, a.resident(b))
			<-time.After(20 * time.Millisecond)
		}
		looked <- most
	}()
	signIns, err := rate(context.Background(), 2*runtime.NumCPU(), d, func() error {
		_, err := a.client.SignIn(ctx, &authv1.SignInRequest{Email: who.email, Password: password})
		return err
	})
	done.Store(true)
	peak = <-looked
	check.NoError(b, err)
	return signIns, peak
}
