package bench_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/database"
	"github.com/gatehouse/gatehouse/internal/pg/pgserver"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	"github.com/gatehouse/gatehouse/internal/testkit/platform"
)

// aloneOffset shifts the ports of a program that runs beside the platform, or without it.
const aloneOffset = 9000

// database makes a database with a role and the schema that it owns, and returns the role's URL.
func freshDatabase(b *testing.B, server *pgserver.Server, name, role, schema string) config.Secret {
	b.Helper()
	secret := config.NewSecret("bench")
	check.NoError(b, database.EnsureDatabase(b.Context(), server.SuperURL("postgres"), name))
	check.NoError(b, database.EnsureRole(b.Context(), server.SuperURL(name), role, secret, schema))
	return server.URL(role, secret, name)
}

func connect(b *testing.B, url config.Secret) *pgx.Conn {
	b.Helper()
	conn, err := pgx.Connect(b.Context(), url.Reveal())
	check.NoError(b, err)
	b.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// migrate runs a program's own migration.
func migrate(b *testing.B, p *platform.Platform, name string, url config.Secret) {
	b.Helper()
	cmd := exec.Command(filepath.Join(p.Bin, name), "migrate")
	cmd.Env = append(os.Environ(), "GATEHOUSE_POSTGRES_URL="+url.Reveal())
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%s migrate: %v\n%s", name, err, out)
	}
}

// serve runs one program of the platform alone, without a sidecar, over a database that is migrated, with its log in a file as in
// production and with more environment, and returns a connection to its gRPC port.
func serve(b *testing.B, p *platform.Platform, name string, port int, url config.Secret, more ...string) *grpc.ClientConn {
	b.Helper()
	cmd := exec.Command(filepath.Join(p.Bin, name), "serve")
	cmd.Env = slices.Concat(os.Environ(), []string{"GATEHOUSE_POSTGRES_URL=" + url.Reveal()}, alone(0), more)
	run(b, cmd)
	conn := dial(b, port+aloneOffset)
	serving(b, conn, 30*time.Second)
	return conn
}

// alone is the environment of a program without a mesh, on ports further up: its callers say that
// they are of the test kit's.
func alone(further int) []string {
	return []string{
		fmt.Sprintf("GATEHOUSE_MESH_PORT_OFFSET=%d", aloneOffset+further),
		"GATEHOUSE_MESH_TRUST_DOMAIN=" + grpctest.Mesh().TrustDomain, "GATEHOUSE_MESH_DATACENTER=" + grpctest.Mesh().Datacenter,
	}
}

// run starts a process, with what it prints in a file; it is killed with the benchmark.
func run(b *testing.B, cmd *exec.Cmd) {
	b.Helper()
	log, err := os.Create(filepath.Join(b.TempDir(), filepath.Base(cmd.Path)+".log"))
	check.NoError(b, err)
	cmd.Stdout, cmd.Stderr = log, log
	check.NoError(b, cmd.Start())
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
		if tail, err := os.ReadFile(log.Name()); err == nil && b.Failed() {
			b.Logf("%s printed:\n%s", filepath.Base(cmd.Path), tail[max(0, len(tail)-4000):])
		}
		_ = log.Close()
	})
}

func dial(b *testing.B, port int) *grpc.ClientConn {
	b.Helper()
	conn, err := grpc.NewClient(fmt.Sprintf("passthrough:///127.0.0.1:%d", port), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: 10 * time.Millisecond}))
	check.NoError(b, err)
	b.Cleanup(func() { _ = conn.Close() })
	return conn
}

// serving waits until a program's health is SERVING.
func serving(b *testing.B, conn *grpc.ClientConn, patience time.Duration) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	until(b, patience, time.Millisecond, func() error {
		conn.ResetConnectBackoff()
		resp, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{})
		if err == nil && resp.GetStatus() != healthpb.HealthCheckResponse_SERVING {
			err = fmt.Errorf("health is %s", resp.GetStatus())
		}
		return err
	})
}
