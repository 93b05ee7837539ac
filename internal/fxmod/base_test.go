package fxmod

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"go.uber.org/fx"

	"github.com/gatehouse/gatehouse/internal/client/identity"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/token"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
)

// opsPort is the one that the program of these tests has by its contract.
const opsPort = 8480

// options are those of a program whose ops port is free.
func options(t *testing.T) Config {
	t.Helper()
	var c Config
	c.Log.Level = "error"
	c.Token = token.Config{Issuer: "https://gatehouse.test", Audience: "gatehouse"}
	for c.Mesh.PortOffset = 20000; c.Mesh.PortOffset < mesh.MaxPortOffset; c.Mesh.PortOffset += 7 {
		if l, err := net.Listen("tcp", Loopback(opsPort+c.Mesh.PortOffset)); err == nil && l.Close() == nil {
			return c
		}
	}
	t.Fatal("no free port")
	return c
}

// What Base and the tokens provide starts, answers and stops, in the order of the program's list.
func TestBaseStartsAndStops(t *testing.T) {
	c := options(t)
	var directory identityv1.UserDirectoryServiceClient
	app := New(
		Base("gateway", c), RemoteTokens(), Client(identity.Name, identity.Directory), fx.Populate(&directory),
		fx.Invoke(func(lc fx.Lifecycle, b BaseParts, ops *OpsServer, tokens Tokens) {
			InOrder(lc, Parts{Ports(ops), b.Telemetry, b.Connections}, Parts(tokens), Parts{b.Health, b.Ops, b.Registration})
		}),
	)
	if err := app.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get("http://" + Loopback(opsPort+c.Mesh.PortOffset) + "/version")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.Body.Close() != nil || answer.StatusCode != http.StatusOK {
		t.Errorf("/version answers %d %s, %v", answer.StatusCode, body, err)
	}
	if directory == nil {
		t.Error("no client of a declared callee")
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 30*time.Second)
	defer cancel()
	if err := app.Stop(stop); err != nil {
		t.Error(err)
	}
}

// What the definition does not know, or the contract does not declare, stops the start.
func TestWhatTheMeshDoesNotKnowStopsTheStart(t *testing.T) {
	none := func(identityv1.UserDirectoryServiceClient) {}
	register := options(t)
	register.Consul.Register = true
	noCertificate := register
	noCertificate.Consul.CA = "/does/not/exist"
	for name, o := range map[string]fx.Option{
		"a program without a definition":  fx.Options(Base("nobody", options(t)), fx.Invoke(func(*OpsServer) {})),
		"its registration":                fx.Options(Base("nobody", register), fx.Invoke(func(Registration) {})),
		"a certificate that is not there": fx.Options(Base("gateway", noCertificate), fx.Invoke(func(Registration) {})),
		"a client of nobody":              fx.Options(Base("gateway", options(t)), Client("nobody", identity.Directory), fx.Invoke(none)),
	} {
		if app := New(fx.NopLogger, o); app.Err() == nil {
			t.Errorf("%s: the app is made", name)
		}
	}
	var r Registration
	if err := New(Base("gateway", register), fx.Populate(&r)).Err(); err != nil || r.Start == nil || r.Name == "" {
		t.Errorf("a registration that is wanted is %+v, %v", r, err)
	}
}

// The issuer verifies by its own keys and ended sessions.
func TestLocalTokensVerifyByTheirOwnSource(t *testing.T) {
	var verifier *token.Verifier
	var tokens Tokens
	app := New(
		Base("gateway", options(t)), LocalTokens(),
		fx.Provide(func() token.KeySource { return nothing{} }, func() token.Revocations { return nothing{} }),
		fx.Populate(&verifier, &tokens),
	)
	if app.Err() != nil || verifier == nil || len(tokens) > 0 {
		t.Errorf("verifier %v, parts %v, %v", verifier, tokens, app.Err())
	}
}

// nothing knows no key and no session.
type nothing struct{}

func (nothing) Key(context.Context, string) (token.Key, error) {
	return token.Key{}, token.ErrUnknownKey
}
func (nothing) Revoked(string) (bool, error) { return false, nil }
