package service

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/fx"

	"github.com/gatehouse/gatehouse/internal/access"
	"github.com/gatehouse/gatehouse/internal/auditing"
	"github.com/gatehouse/gatehouse/internal/fxmod"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	"github.com/gatehouse/gatehouse/internal/testkit/apptest"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
)

const restPort = 8181

// registered is a service with routes.
func registered(handlers grpcserver.RESTHandler) fx.Option {
	return fx.Options(
		fx.Provide(
			func() auditing.Refusals { return grpctest.NewTrail() },
			func() access.Permissions { return grpctest.NewGrants() },
		),
		AsRegistration(func() grpcserver.Registration {
			return grpcserver.Registration{
				Desc: &identityv1.UserService_ServiceDesc, Impl: identityv1.UnimplementedUserServiceServer{}, REST: handlers,
			}
		}),
	)
}

// call asks the REST door of the program.
func call(t *testing.T, offset int) (status int, body string, err error) {
	t.Helper()
	answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get("http://" + fxmod.Loopback(restPort+offset) + "/api/v1/me")
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(text), err
}

// A service answers REST at a port of its own when it is asked to, and not otherwise.
func TestRESTDoor(t *testing.T) {
	for _, on := range []bool{true, false} {
		c := options(apptest.FreePorts(t, name).Offset)
		c.GRPC.REST = on
		app := fxmod.New(local(), registered(identityv1.RegisterUserServiceHandler), Module(name, c))
		check.NoError(t, app.Start(t.Context()))
		status, body, err := call(t, c.Mesh.PortOffset)
		if on && (err != nil || status != http.StatusUnauthorized || !strings.Contains(body, "TOKEN_REQUIRED")) {
			t.Errorf("the door answers %d %s, %v", status, body, err)
		}
		if !on && err == nil {
			t.Errorf("a door that is off answers %d %s", status, body)
		}
		check.NoError(t, app.Stop(context.Background()))
		if !free(restPort + c.Mesh.PortOffset) {
			t.Error("the port is still taken")
		}
	}
}

// Its port is taken with the others, before anything begins.
func TestTakenRESTPort(t *testing.T) {
	c := options(apptest.FreePorts(t, name).Offset)
	c.GRPC.REST = true
	address := fxmod.Loopback(restPort + c.Mesh.PortOffset)
	l, err := net.Listen("tcp", address)
	check.NoError(t, err)
	failure := fxmod.Run(fxmod.New(local(), registered(identityv1.RegisterUserServiceHandler), Module(name, c)))
	check.NoError(t, l.Close())
	if text := fmt.Sprint(failure); strings.Contains(text, "\n") || !strings.Contains(text, address) || !strings.Contains(text, "stop it") {
		t.Errorf("the start says %q", text)
	}
	if !free(grpcPort+c.Mesh.PortOffset) || !free(opsPort+c.Mesh.PortOffset) {
		t.Error("a port is still taken")
	}
}

// A service with routes that cannot be answered does not start, whether its door is on or not.
func TestNoHandlersNoService(t *testing.T) {
	app := fx.New(fx.NopLogger, local(), registered(nil), Module(name, options(0)))
	if err := app.Err(); err == nil || !strings.Contains(err.Error(), "add REST: Register…Handler") {
		t.Errorf("the program is wired: %v", err)
	}
}
