package app

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/fx"
	"go.uber.org/goleak"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/fxmod"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/program"
	"github.com/gatehouse/gatehouse/internal/testkit/apptest"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/migrations"
	"github.com/gatehouse/gatehouse/services/auth/internal/signingkey"
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
func configured(t *testing.T, ports apptest.Ports, db pg.Config, key string, more ...string) Config {
	t.Helper()
	return apptest.Parse[Config](t, Name, ports, db, append(more, "GATEHOUSE_AUTH_KEY_FILE="+key)...)
}

func database(t *testing.T) pg.Config {
	t.Helper()
	return pgtest.Config(t, migrations.Schema, migrations.Files)
}

func TestWiringIsComplete(t *testing.T) {
	c := configured(t, apptest.FreePorts(t, Name), apptest.Nowhere(Name), keyFile(t, 1))
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
func serving(t *testing.T, ports apptest.Ports) {
	t.Helper()
	conn := apptest.Dial(t, ports.GRPC)
	defer func() { check.NoError(t, conn.Close()) }()
	apptest.WaitHealth(t, conn, authv1.AuthService_ServiceDesc.ServiceName, healthpb.HealthCheckResponse_SERVING)
}

func TestStartServesAndStopLeavesNothing(t *testing.T) {
	db, key, ports := database(t), keyFile(t, 1), apptest.FreePorts(t, Name)
	before := goleak.IgnoreCurrent()
	for range 2 { // the second start finds the keys of the first
		stop := start(t, configured(t, ports, db, key))
		serving(t, ports)
		apptest.Get(t, ports.Ops, "/readyz", http.StatusOK)
		stop()
	}
	goleak.VerifyNone(t, before)
}

func TestStartRefusesTheWrongSealingKey(t *testing.T) {
	db, ports := database(t), apptest.FreePorts(t, Name)
	start(t, configured(t, ports, db, keyFile(t, 1)))()
	c := configured(t, ports, db, keyFile(t, 2))
	if err := c.Run(); err == nil || err.Error() != signingkey.ErrWrongSealingKey.Error() {
		t.Errorf("Run = %v, want the sentence alone", err)
	}
	err := New(c).Start(t.Context())
	if !errors.Is(err, signingkey.ErrWrongSealingKey) || fxmod.Sentence(err) != signingkey.ErrWrongSealingKey.Error() {
		t.Fatalf("Start = %v, want %v", err, signingkey.ErrWrongSealingKey)
	}
}

func TestStartWithoutDatabaseIsNotReady(t *testing.T) {
	ports := apptest.FreePorts(t, Name)
	stop := start(t, configured(t, ports, apptest.Nowhere(Name), keyFile(t, 1)))
	defer stop()
	body := apptest.Get(t, ports.Ops, "/readyz", http.StatusServiceUnavailable)
	if !strings.Contains(body, "keys") || strings.Contains(body, "127.0.0.1") {
		t.Fatalf("/readyz says %s", body)
	}
}

func TestStartOnAnOldSchemaSaysMigrate(t *testing.T) {
	db, ports := pgtest.Config(t, migrations.Schema, nil), apptest.FreePorts(t, Name)
	stop := start(t, configured(t, ports, db, keyFile(t, 1)))
	defer stop()
	check.Eventually(t, "/readyz says how to fix it", func() bool {
		return strings.Contains(apptest.Get(t, ports.Ops, "/readyz", http.StatusServiceUnavailable), "auth migrate")
	})
	if err := (&MigrateConfig{Postgres: db}).Run(); err != nil {
		t.Fatal(err)
	}
	serving(t, ports) // without a restart
}

// A sealing key is replaced: both are given, the stored keys are sealed anew, and then the new one
// suffices, which the old one does not any more.
func TestTheSealingKeyIsReplaced(t *testing.T) {
	db, ports, old, fresh := database(t), apptest.FreePorts(t, Name), keyFile(t, 1), keyFile(t, 2)
	stop := start(t, configured(t, ports, db, old))
	idTokenKeys(t, db)
	stop()
	stop = start(t, configured(t, ports, db, fresh, "GATEHOUSE_AUTH_KEY_PREVIOUS_FILE="+old))
	serving(t, ports)
	stop()
	wrong := ResealConfig{Postgres: db, Seal: SealConfig{File: fresh}}
	var out strings.Builder
	if err := wrong.Run(program.Process{Name: Name, Stdout: &out}); !errors.Is(err, signingkey.ErrWrongSealingKey) || out.Len() > 0 {
		t.Errorf("without the previous key: %v, and %q is printed", err, out.String())
	}
	both := ResealConfig{Postgres: db, Seal: SealConfig{File: fresh, PreviousFile: old}}
	for _, want := range []string{"8 of 8 signing keys, 0 waiting mails and 0 second factors", "0 of 8 signing keys"} {
		out.Reset()
		if err := both.Run(program.Process{Name: Name, Stdout: &out}); err != nil || !strings.HasPrefix(out.String(), want) || !strings.Contains(out.String(), "not needed any more") {
			t.Errorf("%v, printed %q, want %q", err, out.String(), want)
		}
	}
	stop = start(t, configured(t, ports, db, fresh))
	serving(t, ports)
	stop()
	if err := New(configured(t, ports, db, old)).Start(t.Context()); !errors.Is(err, signingkey.ErrWrongSealingKey) {
		t.Errorf("the old key: %v", err)
	}
}

// idTokenKeys waits until the keys of ID tokens are made, which the start does not wait for.
func idTokenKeys(t *testing.T, db pg.Config) {
	t.Helper()
	pool, err := pg.Open(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	check.Eventually(t, "the keys of ID tokens", func() (all bool) {
		check.NoError(t, pool.QueryRow(t.Context(), `select count(*) = 6 from auth.id_token_keys`).Scan(&all))
		return all
	})
}

// What recovers access needs the database, and prints nothing without it.
func TestRecoverWithoutADatabase(t *testing.T) {
	var out, hint strings.Builder
	c := RecoverConfig{Postgres: apptest.Nowhere(Name)}
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
		"long session":        {"GATEHOUSE_AUTH_SESSION_LIFETIME=721h", "GATEHOUSE_AUTH_SESSION_LIFETIME"}, // R21: 30 days
		"idle beyond life":    {"GATEHOUSE_AUTH_SESSION_LIFETIME=1h", "GATEHOUSE_AUTH_SESSION_IDLE"},
		"idle below token":    {"GATEHOUSE_AUTH_SESSION_IDLE=10m", "GATEHOUSE_AUTH_SESSION_IDLE"},
		"quick rotation":      {"GATEHOUSE_AUTH_KEY_ROTATION_INTERVAL=5m", "GATEHOUSE_AUTH_KEY_ROTATION_INTERVAL"},
		"short max age":       {"GATEHOUSE_AUTH_KEY_MAX_AGE=1s", "GATEHOUSE_AUTH_KEY_MAX_AGE"},
		"weak hash":           {"GATEHOUSE_AUTH_PASSWORD_MEMORY=1024", "GATEHOUSE_AUTH_PASSWORD_MEMORY"},
		"short secret":        {"GATEHOUSE_AUTH_BOOTSTRAP_SECRET=" + strings.Repeat("x", 31), "has 31 bytes"},
		"long secret":         {"GATEHOUSE_AUTH_BOOTSTRAP_SECRET=" + strings.Repeat("x", 257), "has 257 bytes"},
		"sign-ups":            {"GATEHOUSE_AUTH_SIGN_UP=Open", "GATEHOUSE_AUTH_SIGN_UP"},
		"no budget":           {"GATEHOUSE_AUTH_FAILURE_BUDGET=0", "GATEHOUSE_AUTH_FAILURE_BUDGET"},
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

// R4: a list that was named and is missing ends the start, by its variable.
func TestAMissingListOfBreachedPasswordsEndsTheStart(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none")
	_, err := newPolicy(Config{Password: PasswordConfig{BreachedFile: missing}})
	if err == nil || !strings.Contains(err.Error(), "GATEHOUSE_AUTH_PASSWORD_BREACHED_FILE") || !strings.Contains(err.Error(), missing) {
		t.Fatalf("err = %v, want one that names the variable and %s", err, missing)
	}
}
