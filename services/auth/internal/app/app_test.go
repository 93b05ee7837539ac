package app

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/fx"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/fxmod"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/program"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/migrations"
	"github.com/gatehouse/gatehouse/services/auth/internal/signingkey"
)

const (
	portOffset = 6300
	address    = "127.0.0.1:14382" // the contract's 8082
	ops        = "http://127.0.0.1:14782"
)

// parse reads the configuration as the program does.
func parse(t *testing.T, environ ...string) (Config, error) {
	t.Helper()
	var c struct {
		Serve Config `cmd:"" default:"withargs"`
	}
	_, err := config.Parse(Name, &c, nil, environ, io.Discard)
	return c.Serve, err
}

// keyFile writes a sealing key and returns its path.
func keyFile(t *testing.T, fill byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "auth.key")
	key := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{fill}, signingkey.SealingKeyLength))
	if err := os.WriteFile(path, []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// configured is the default configuration with a database and a sealing key.
func configured(t *testing.T, db pg.Config, key string, more ...string) Config {
	t.Helper()
	c, err := parse(t, append(more, "GATEHOUSE_POSTGRES_URL="+db.URL.Reveal(), "GATEHOUSE_AUTH_KEY_FILE="+key,
		fmt.Sprintf("GATEHOUSE_MESH_PORT_OFFSET=%d", portOffset),
		"GATEHOUSE_MESH_TRUST_DOMAIN="+grpctest.Mesh().TrustDomain, "GATEHOUSE_MESH_DATACENTER="+grpctest.Mesh().Datacenter, "GATEHOUSE_DRAIN_DELAY=0s", "GATEHOUSE_LOG_LEVEL=error")...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func database(t *testing.T) pg.Config {
	t.Helper()
	return pgtest.Config(t, migrations.Schema, migrations.Files)
}

func TestWiringIsComplete(t *testing.T) {
	c := configured(t, pg.Config{URL: config.NewSecret("postgres://auth:x@127.0.0.1:1/gatehouse")}, keyFile(t, 1))
	if err := fx.ValidateApp(options(c)); err != nil {
		t.Fatal(err)
	}
}

// start starts an app and returns how to stop it.
func start(t *testing.T, c Config) (stop func()) {
	t.Helper()
	a := New(c)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := a.Start(ctx); err != nil {
		t.Fatal(err)
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := a.Stop(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

// serving waits until the gRPC health service says so.
func serving(t *testing.T) {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	watch, err := healthpb.NewHealthClient(conn).Watch(ctx, &healthpb.HealthCheckRequest{}, grpc.WaitForReady(true))
	for err == nil {
		var answer *healthpb.HealthCheckResponse
		if answer, err = watch.Recv(); err == nil && answer.GetStatus() == healthpb.HealthCheckResponse_SERVING {
			return
		}
	}
	t.Fatalf("not serving: %v", err)
}

func readyz(t *testing.T) (int, string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(ops + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestStartServesAndStopLeavesNothing(t *testing.T) {
	db, key := database(t), keyFile(t, 1)
	before := goleak.IgnoreCurrent()
	for range 2 { // the second start finds the keys of the first
		stop := start(t, configured(t, db, key))
		serving(t)
		if code, body := readyz(t); code != http.StatusOK {
			t.Fatalf("/readyz = %d %s", code, body)
		}
		stop()
	}
	goleak.VerifyNone(t, before)
}

func TestStartRefusesTheWrongSealingKey(t *testing.T) {
	db := database(t)
	start(t, configured(t, db, keyFile(t, 1)))()
	c := configured(t, db, keyFile(t, 2))
	if err := c.Run(); err == nil || err.Error() != signingkey.ErrWrongSealingKey.Error() {
		t.Errorf("Run = %v, want the sentence alone", err)
	}
	err := New(c).Start(t.Context())
	if !errors.Is(err, signingkey.ErrWrongSealingKey) || fxmod.Sentence(err) != signingkey.ErrWrongSealingKey.Error() {
		t.Fatalf("Start = %v, want %v", err, signingkey.ErrWrongSealingKey)
	}
}

func TestStartWithoutDatabaseIsNotReady(t *testing.T) {
	c := configured(t, pg.Config{URL: config.NewSecret("postgres://auth:x@127.0.0.1:1/gatehouse")}, keyFile(t, 1))
	stop := start(t, c)
	defer stop()
	code, body := readyz(t)
	if code != http.StatusServiceUnavailable || !strings.Contains(body, "keys") || strings.Contains(body, "127.0.0.1") {
		t.Fatalf("/readyz = %d %s", code, body)
	}
}

func TestStartOnAnOldSchemaSaysMigrate(t *testing.T) {
	db := pgtest.Config(t, migrations.Schema, nil)
	stop := start(t, configured(t, db, keyFile(t, 1)))
	defer stop()
	deadline := time.Now().Add(10 * time.Second)
	for {
		code, body := readyz(t)
		if code == http.StatusServiceUnavailable && strings.Contains(body, "auth migrate") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("/readyz = %d %s, want it to name `auth migrate`", code, body)
		}
	}
	if err := (&MigrateConfig{Postgres: db}).Run(); err != nil {
		t.Fatal(err)
	}
	serving(t) // without a restart
}

// What recovers access needs the database, and prints nothing without it.
func TestRecoverWithoutADatabase(t *testing.T) {
	var out, hint strings.Builder
	c := RecoverConfig{Postgres: pg.Config{URL: config.NewSecret("postgres://auth:x@127.0.0.1:1/gatehouse")}}
	err := c.Run(program.Process{Name: Name, Stdout: &out, Stderr: &hint})
	if !errors.Is(err, apierr.New(apierr.Unavailable, "DATABASE_UNAVAILABLE", "")) || out.String()+hint.String() != "" {
		t.Errorf("got %v, printed %q %q", err, out.String(), hint.String())
	}
}

func TestConfigRefuses(t *testing.T) {
	for name, c := range map[string]struct{ env, want string }{
		"no key file":         {"GATEHOUSE_AUTH_KEY_FILE=", "GATEHOUSE_AUTH_KEY_FILE"},
		"algorithm":           {"GATEHOUSE_AUTH_SIGNING_ALGORITHM=HS256", "GATEHOUSE_AUTH_SIGNING_ALGORITHM"},
		"long access token":   {"GATEHOUSE_AUTH_ACCESS_TOKEN_TTL=11m", "GATEHOUSE_AUTH_ACCESS_TOKEN_TTL"},
		"no access token":     {"GATEHOUSE_AUTH_ACCESS_TOKEN_TTL=0s", "GATEHOUSE_AUTH_ACCESS_TOKEN_TTL"},
		"long session":        {"GATEHOUSE_AUTH_SESSION_LIFETIME=721h", "GATEHOUSE_AUTH_SESSION_LIFETIME"},
		"idle beyond life":    {"GATEHOUSE_AUTH_SESSION_LIFETIME=1h", "GATEHOUSE_AUTH_SESSION_IDLE"},
		"idle below token":    {"GATEHOUSE_AUTH_SESSION_IDLE=10m", "GATEHOUSE_AUTH_SESSION_IDLE"},
		"quick rotation":      {"GATEHOUSE_AUTH_KEY_ROTATION_INTERVAL=5m", "GATEHOUSE_AUTH_KEY_ROTATION_INTERVAL"},
		"short max age":       {"GATEHOUSE_AUTH_KEY_MAX_AGE=1s", "GATEHOUSE_AUTH_KEY_MAX_AGE"},
		"weak hash":           {"GATEHOUSE_AUTH_PASSWORD_MEMORY=1024", "GATEHOUSE_AUTH_PASSWORD_MEMORY"},
		"short secret":        {"GATEHOUSE_AUTH_BOOTSTRAP_SECRET=" + strings.Repeat("x", 31), "has 31 bytes"},
		"long secret":         {"GATEHOUSE_AUTH_BOOTSTRAP_SECRET=" + strings.Repeat("x", 257), "has 257 bytes"},
		"negative queue":      {"GATEHOUSE_AUTH_PASSWORD_QUEUE=-1", "GATEHOUSE_AUTH_PASSWORD_QUEUE"},
		"unknown own name":    {"GATEHOUSE_AUTH_ACCES_TOKEN_TTL=1m", "did you mean GATEHOUSE_AUTH_ACCESS_TOKEN_TTL"},
		"unknown kernel name": {"GATEHOUSE_POSTGRES_ULR=x", "GATEHOUSE_POSTGRES_URL"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(t, "GATEHOUSE_POSTGRES_URL=postgres://auth:x@127.0.0.1:1/gatehouse", "GATEHOUSE_AUTH_KEY_FILE=/auth.key", c.env)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("err = %v, want one sentence with %s", err, c.want)
			}
		})
	}
}
