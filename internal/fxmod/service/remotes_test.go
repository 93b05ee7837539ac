package service

import (
	"log/slog"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/fx"

	"github.com/gatehouse/gatehouse/internal/access"
	"github.com/gatehouse/gatehouse/internal/client"
	"github.com/gatehouse/gatehouse/internal/client/audit"
	"github.com/gatehouse/gatehouse/internal/client/authz"
	"github.com/gatehouse/gatehouse/internal/fxmod"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/outbox"
)

// remotes are what a program gets of Authz and Audit.
type remotes struct {
	fx.In

	Permissions access.Permissions
	Routes      []outbox.Route `group:"outbox"`
}

// wired makes the remote modules for a program of the mesh.
func wired(t *testing.T, name string) (got remotes, err error) {
	t.Helper()
	app := fx.New(
		fx.NopLogger, fx.Supply(fxmod.Program{Name: name}, mesh.Config{}), fxmod.Mesh(), fxmod.Clients(),
		fx.Provide(
			func() trace.TracerProvider { return noop.NewTracerProvider() },
			func() propagation.TextMapPropagator { return propagation.TraceContext{} },
			func() prometheus.Registerer { return prometheus.NewRegistry() },
			func() *slog.Logger { return slog.New(slog.DiscardHandler) },
		),
		RemotePermissions(), RemoteAudit(), RemoteRelationships(),
		fx.Invoke(func(conns *client.Conns) { t.Cleanup(func() { _ = conns.Close() }) }), // an app that is not started runs no hooks
		fx.Invoke(func(r remotes) { got = r }),
	)
	return got, app.Err()
}

// The contract of a program says whom it may ask and whom it feeds; what it does not declare stops
// the start.
func TestRemotes(t *testing.T) {
	got, err := wired(t, "identity")
	if err != nil {
		t.Fatal(err)
	}
	var topics []string
	for _, r := range got.Routes {
		topics = append(topics, r.Topic)
		if r.Deliver == nil {
			t.Errorf("nobody delivers %s", r.Topic)
		}
	}
	slices.Sort(topics)
	if want := []string{audit.Topic, authz.Topic}; got.Permissions == nil || !slices.Equal(topics, want) {
		t.Errorf("permissions %v, topics %v, want %v", got.Permissions, topics, want)
	}
	if _, err := wired(t, "audit"); err == nil {
		t.Error("Audit feeds itself through the mesh, which its contract does not declare")
	}
}
