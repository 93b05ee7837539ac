package service

import (
	"context"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/fx"

	"github.com/gatehouse/gatehouse/internal/auditing"
	"github.com/gatehouse/gatehouse/internal/fxmod"
	"github.com/gatehouse/gatehouse/internal/logging"
	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/internal/refusals"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
)

// The module gives stores an outbox and the gRPC server its refusals, and what is committed reaches
// the route of its topic.
func TestOutboxDeliversToItsRoutes(t *testing.T) {
	const schema = "carrier"
	files := fstest.MapFS{"001_create_outbox.sql": {Data: []byte(outbox.DDL(schema))}}
	arrived := make(chan outbox.Message, 1)
	var o *outbox.Outbox
	var recorder *refusals.Recorder
	var served auditing.Refusals
	app := fx.New(
		fx.Supply(fxmod.Program{Name: name, Version: "test"}),
		fx.Provide(fxmod.Clock, func() prometheus.Registerer { return prometheus.NewRegistry() }),
		fxmod.Logging(logging.Config{Level: "error"}),
		Postgres(pgtest.Config(t, schema, files), schema, files),
		Outbox(schema),
		AsRoute(func() outbox.Route {
			return outbox.Route{Topic: "letters", Deliver: func(_ context.Context, batch []outbox.Message) ([]outbox.Poison, error) {
				arrived <- batch[0]
				return nil, nil
			}}
		}),
		fx.Populate(&o, &recorder, &served),
		fx.Invoke(func(lc fx.Lifecycle, p *pgxpool.Pool, r *outbox.Relay) {
			fxmod.InOrder(lc, fxmod.Parts{pool(p), relay(r)})
		}),
	)
	if err := app.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if served != auditing.Refusals(recorder) {
		t.Error("the server's refusals are not the outbox's")
	}
	sent := outbox.Message{ID: newEventID(), Topic: "letters", Key: "letter:1", Payload: []byte("hello")}
	if err := o.InTx(t.Context(), func(tx pgx.Tx) error { return o.Append(t.Context(), tx, sent) }); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-arrived:
		if got.ID != sent.ID || got.Key != sent.Key {
			t.Errorf("%+v arrived, want %+v", got, sent)
		}
	case <-time.After(30 * time.Second):
		t.Error("nothing arrived")
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 30*time.Second)
	defer cancel()
	if err := app.Stop(stopping); err != nil {
		t.Error(err)
	}
}
