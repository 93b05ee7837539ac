package bench_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/gatehouse/gatehouse/internal/testkit/platform"
)

// BenchmarkWarmUp is `gatehouse up` on a state folder that exists, to the first authorised answer. Bound: 20 s on two cores.
func BenchmarkWarmUp(b *testing.B) {
	p := started(b)
	who := signUp(b, p)
	var seconds []float64
	for b.Loop() {
		if err := p.Down(); err != nil {
			b.Fatal(err)
		}
		start := time.Now()
		if err := p.Up(); err != nil {
			b.Fatal(err)
		}
		access, err := signIn(p, who.email)
		if err == nil {
			err = get(p, "/api/v1/users/"+who.id, access)
		}
		if err != nil {
			b.Fatal(err)
		}
		seconds = append(seconds, time.Since(start).Seconds())
	}
	b.ReportMetric(median(seconds), "s/up")
	b.ReportMetric(20, "s-bound")
}

// BenchmarkServiceStart is a migrated service from exec to health SERVING, its sidecar running. Bound: 150 ms.
func BenchmarkServiceStart(b *testing.B) {
	p := started(b)
	var ms []float64
	for b.Loop() {
		d, err := startToServing(p, "identity")
		if err != nil {
			b.Fatal(err)
		}
		ms = append(ms, float64(d.Microseconds())/1000)
	}
	b.ReportMetric(median(ms), "ms/start")
	b.ReportMetric(150, "ms-bound")
}

// startToServing runs a second instance of a program beside the platform's own, on other ports and against the same database.
func startToServing(p *platform.Platform, name string) (time.Duration, error) {
	const offset = 9000
	row, err := p.Service(name)
	if err != nil {
		return 0, err
	}
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", row.PID))
	if err != nil {
		return 0, err
	}
	cmd := exec.Command(filepath.Join(p.Bin, name), "serve")
	for _, pair := range strings.Split(strings.TrimRight(string(environ), "\x00"), "\x00") {
		if !strings.HasPrefix(pair, "GATEHOUSE_CONSUL_") && !strings.HasPrefix(pair, "GATEHOUSE_MESH_") {
			cmd.Env = append(cmd.Env, pair)
		}
	}
	cmd.Env = append(cmd.Env, fmt.Sprintf("GATEHOUSE_MESH_PORT_OFFSET=%d", offset))
	conn, err := grpc.NewClient(fmt.Sprintf("127.0.0.1:%d", 8081+offset), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: 10 * time.Millisecond}))
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	for {
		resp, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{})
		if err == nil && resp.GetStatus() == healthpb.HealthCheckResponse_SERVING {
			return time.Since(start), nil
		}
		if ctx.Err() != nil {
			return 0, fmt.Errorf("%s does not serve: %w", name, err)
		}
		conn.ResetConnectBackoff()
		<-time.After(time.Millisecond)
	}
}
