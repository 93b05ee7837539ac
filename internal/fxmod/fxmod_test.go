package fxmod

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/fx"
	"go.uber.org/goleak"

	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/program"
	"github.com/gatehouse/gatehouse/internal/registry"
	httpserver "github.com/gatehouse/gatehouse/internal/server/http"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSentenceIsTheCause(t *testing.T) {
	broken := fx.Provide(func() (*crash, error) {
		return nil, errors.New("the key file is empty: write 32 random bytes into it")
	})
	err := Run(New(broken, fx.Invoke(func(*crash) {}), fx.NopLogger))
	if err == nil || err.Error() != "the key file is empty: write 32 random bytes into it" {
		t.Errorf("the start says %v", err)
	}
}

// crash is a server that ends by itself.
type crash struct{ end chan struct{} }

func (c crash) Listen(context.Context) error   { return nil }
func (c crash) Serve() error                   { <-c.end; return errors.New("accept: too many open files") }
func (c crash) Shutdown(context.Context) error { return nil }

func TestServerThatEndsStopsTheProgram(t *testing.T) {
	c := crash{end: make(chan struct{})}
	app := New(fx.NopLogger, fx.Invoke(func(lc fx.Lifecycle, stop fx.Shutdowner) {
		InOrder(lc, Parts{Serving("a server", c, Drain{}, stop, slog.New(slog.DiscardHandler))})
	}))
	close(c.end)
	if err := Run(app); !errors.Is(err, program.ExitCode(1)) {
		t.Errorf("the program ends with %v", err)
	}
}

func TestDrainConfigValidate(t *testing.T) {
	for _, c := range []struct {
		config DrainConfig
		ok     bool
	}{
		{DrainConfig{}, true}, {DrainConfig{Delay: time.Second, Timeout: 10 * time.Second}, true},
		{DrainConfig{Delay: -1}, false}, {DrainConfig{Delay: time.Hour}, false}, {DrainConfig{Timeout: -1}, false}, {DrainConfig{Timeout: time.Hour}, false},
	} {
		if err := c.config.Validate(); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c.config, err)
		}
	}
}

// Nobody new is sent to a program once the streams end and it takes no calls: Consul has looked
// since it said NOT_SERVING, and had the time to tell the sidecars.
func TestTheDrainDelayIsLongerThanConsulsInterval(t *testing.T) {
	var cli struct {
		Drain DrainConfig `embed:""`
	}
	if _, err := config.Parse("demo", &cli, nil, nil, io.Discard); err != nil {
		t.Fatal(err)
	}
	def := meshtest.Definition(t)
	for _, p := range def.Programs {
		r, err := registry.Registration(def, p.Name, mesh.Config{})
		if err != nil {
			t.Fatal(err)
		}
		interval, err := time.ParseDuration(r.Check.Interval)
		if err != nil || interval <= 0 || cli.Drain.Delay < interval+time.Second {
			t.Errorf("%s is looked at every %s (%v) and serves for %s when it stops", p.Name, r.Check.Interval, err, cli.Drain.Delay)
		}
	}
}

// Every option has its flag, its variable and its default, and the defaults are valid.
func TestConfigDefaults(t *testing.T) {
	var cli struct {
		Kernel Config `embed:""`
	}
	if _, err := config.Parse("demo", &cli, nil, nil, io.Discard); err != nil {
		t.Fatal(err)
	}
	if cli.Kernel.Drain.Delay != 4*time.Second || cli.Kernel.Token.Audience != "gatehouse" || cli.Kernel.Consul.Register || cli.Kernel.GRPC.Reflection {
		t.Errorf("defaults are %+v", cli.Kernel)
	}
	for _, issuer := range []string{"id.example.com", "https://id.example.com?tenant=1", "https://id.example.com#", "https://me@id.example.com"} {
		if _, err := config.Parse("demo", &cli, nil, []string{"GATEHOUSE_TOKEN_ISSUER=" + issuer}, io.Discard); err == nil {
			t.Errorf("the issuer %s is accepted", issuer)
		}
	}
}

// What Ports took is free again after a start that failed and after a stop without serving.
func TestPortsAreGivenBack(t *testing.T) {
	taken, err := net.Listen("tcp", Loopback(0))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	server := func(name, address string) *httpserver.Server {
		return httpserver.New(httpserver.Config{Name: name, Address: address, Now: time.Now}, http.NotFoundHandler())
	}
	first := server("first", Loopback(0))
	if err := Ports(first, server("second", taken.Addr().String())).Start(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "second: another program listens on") {
		t.Errorf("a taken port: %v", err)
	}
	isFree(t, first.Addr())

	alone := server("alone", first.Addr())
	p := Ports(alone)
	if err := errors.Join(p.Start(t.Context()), p.Stop(t.Context())); err != nil {
		t.Error(err)
	}
	isFree(t, alone.Addr())
}

func isFree(t *testing.T, address string) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Errorf("a port that was given back: %v", err)
		return
	}
	l.Close()
}
