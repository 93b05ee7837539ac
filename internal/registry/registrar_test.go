package registry_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/registry"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/consultest"
)

// keep runs a registrar until the test ends.
func keep(t testing.TB, consul *consultest.Server, def *mesh.Definition, program string, instance int) {
	t.Helper()
	r, err := registry.Registration(def, program, mesh.Config{ServicePrefix: prefix, Instance: instance})
	if err != nil {
		t.Fatal(err)
	}
	client, err := registry.NewClient(consul.HTTP, registry.Config{})
	if err != nil {
		t.Fatal(err)
	}
	registrar := registry.NewRegistrar(client, r, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		registrar.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}

// status returns an error unless the agent has the check in the state.
func status(consul *consultest.Server, check, want string) error {
	checks, err := consul.Agent().Checks()
	if err != nil {
		return err
	}
	c, ok := checks[check]
	if !ok || c.Status != want {
		return fmt.Errorf("check %s is %+v, want %s", check, c, want)
	}
	return nil
}

func TestRegistrarKeepsTheRegistration(t *testing.T) {
	consul := consultest.New(t)
	def, callee, _ := pair(t)
	keep(t, consul, def, "callee", 1)
	check.Within(t, 5*time.Second, "registration", func() error { return status(consul, "service:gatehouse-callee", api.HealthCritical) })
	serve(t, callee.Port)
	check.Within(t, 10*time.Second, "healthy program", func() error { return status(consul, "service:gatehouse-callee", api.HealthPassing) })
	both := []string{prefix.Service("callee"), registry.SidecarID(prefix.Service("callee"))}
	for _, id := range both { // each of both alone, as after a lost state
		if err := consul.Agent().ServiceDeregister(id); err != nil {
			t.Fatal(err)
		}
		check.Within(t, 10*time.Second, "registration after "+id+" was lost", func() error {
			for _, id := range both {
				if _, _, err := consul.Agent().Service(id, nil); err != nil {
					return err
				}
			}
			return nil
		})
	}
}
