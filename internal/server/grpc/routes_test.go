package grpcserver_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"

	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/health"
	"github.com/gatehouse/gatehouse/internal/rest"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
)

// A service with routes needs who answers them, and says how to add it; one without needs nobody.
func TestRoutesNeedAHandler(t *testing.T) {
	c := meshtest.Contract(t)
	routed := grpcserver.Registration{Desc: &identityv1.UserService_ServiceDesc, Impl: &users{}}
	internal := grpcserver.Registration{Desc: &identityv1.UserDirectoryService_ServiceDesc}
	err := grpcserver.CheckREST(c, []grpcserver.Registration{internal, routed})
	if err == nil || !strings.Contains(err.Error(), "add REST: Register") || !strings.Contains(err.Error(), identityv1.UserService_ServiceDesc.ServiceName) {
		t.Errorf("got %v", err)
	}
	routed.REST = identityv1.RegisterUserServiceHandler
	if err := grpcserver.CheckREST(c, []grpcserver.Registration{internal, routed}); err != nil {
		t.Error(err)
	}
}

// Routes that a door cannot have stop the start.
func TestRoutesThatNoDoorHas(t *testing.T) {
	c := meshtest.Contract(t)
	elsewhere := *c.Methods()[0]
	elsewhere.FullName, elsewhere.Route = "/a.B/C", &contract.Route{Verb: "GET", Path: "/other/{id}"}
	broken := errors.New("no such service")
	for name, c := range map[string]struct {
		methods  []*contract.Method
		own      map[string]http.Handler
		register func(context.Context, *runtime.ServeMux) error
		want     string
	}{
		"outside of /api/": {methods: []*contract.Method{&elsewhere}, want: "routes begin with /api/"},
		"no path":          {methods: c.Methods(), own: map[string]http.Handler{"livez": http.NotFoundHandler()}, want: "livez"},
		"a failing handler": {
			methods: c.Methods(), register: func(context.Context, *runtime.ServeMux) error { return broken }, want: broken.Error(),
		},
	} {
		t.Run(name, func(t *testing.T) {
			var registers []rest.Register
			if c.register != nil {
				registers = append(registers, c.register)
			}
			_, err := grpcserver.NewREST(c.methods, c.own, time.Now, registers...)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// A door whose service cannot be registered is an error where the program is wired.
func TestDoorThatCannotBeMade(t *testing.T) {
	broken := errors.New("no such service")
	log := slog.New(slog.DiscardHandler)
	s, err := grpcserver.New(grpcserver.Params{
		Program: "identity", Contract: meshtest.Contract(t), Mesh: grpctest.Mesh(), Callers: grpctest.Consenting(t),
		Verifier: grpctest.NewTokens(t, time.Now).Verifier(), Permissions: grpctest.NewGrants(), Refusals: grpctest.NewTrail(),
		Health: health.New(log), Log: log, Now: time.Now,
		Registrations: []grpcserver.Registration{{
			Desc: &identityv1.UserService_ServiceDesc, Impl: &users{},
			REST: func(context.Context, *runtime.ServeMux, *grpc.ClientConn) error { return broken },
		}},
	})
	check.NoError(t, err)
	t.Cleanup(s.Stop)
	if d, err := s.NewDoor(func() string { return "" }); d != nil || !errors.Is(err, broken) {
		t.Errorf("made %v, %v", d, err)
	}
}
