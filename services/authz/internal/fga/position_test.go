package fga_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	"github.com/gatehouse/gatehouse/services/authz/internal/fga"
	"github.com/gatehouse/gatehouse/services/authz/internal/fga/fgatest"
)

func TestAPositionIsOfOneClusterAndTimeline(t *testing.T) {
	t.Parallel()
	engine := fgatest.New(t)
	before, err := engine.Position(t.Context())
	if err != nil || before.System == 0 || before.Timeline == 0 || before.LSN == 0 {
		t.Fatal(before, err)
	}
	fgatest.Write(t, engine, "group:g#member@user:u")
	after, err := engine.Position(t.Context())
	if err != nil || after.LSN <= before.LSN || after.System != before.System || after.Timeline != before.Timeline {
		t.Fatal(after, err)
	}
	if err := engine.Reached(t.Context(), after); err != nil {
		t.Error(err)
	}
	ahead, foreign, promoted := after, after, after
	ahead.LSN += 1 << 40
	foreign.System++
	promoted.Timeline++
	wantReason(t, engine.Reached(t.Context(), ahead), apierr.Unavailable, "NOT_FRESH_ENOUGH")
	wantReason(t, engine.Reached(t.Context(), foreign), apierr.Unavailable, "NOT_FRESH_ENOUGH")
	wantReason(t, engine.Reached(t.Context(), promoted), apierr.Unavailable, "NOT_FRESH_ENOUGH")
}

// R62: without the database, before the model is loaded and after a crash of the database there is an error, never an answer; the
// engine comes back by itself.
func TestWithoutTheDatabaseThereIsNoAnswer(t *testing.T) {
	t.Parallel()
	server, process := pgtest.Server(t)
	c := pg.Config{URL: server.SuperURL("postgres"), MaxConns: 4, ConnectTimeout: time.Second, Wait: 10 * time.Second}
	engine, err := fga.Open(t.Context(), fga.Params{URL: c.URL, MaxConns: 4, ConnectTimeout: time.Second, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(engine.Close)
	asked := []fga.Question{{Relation: "can_update", Object: "organization:o"}}
	_, err = engine.Check(t.Context(), "user:u", asked)
	wantReason(t, err, apierr.Unavailable, "MODEL_NOT_LOADED")
	wantReason(t, engine.Load(t.Context()), apierr.Unavailable, "SCHEMA_OUTDATED")
	wantReason(t, engine.Ready(t.Context()), apierr.Unavailable, "MODEL_NOT_LOADED")
	if err := fga.Migrate(t.Context(), c, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if err := engine.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	fgatest.Write(t, engine, "group:b#member@user:u", "group:a#member@group:b#member", "organization:o#admin@group:a#member")
	if got, err := engine.Check(t.Context(), "user:u", asked); err != nil || !got[0] {
		t.Fatal(got, err)
	}
	if err := process.Kill(); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if got, err := engine.Check(t.Context(), "user:u", asked); err == nil {
			t.Errorf("an answer without a database: %v", got)
		}
		if got, err := engine.ListObjects(t.Context(), "user:u", "can_update", "organization"); err == nil {
			t.Errorf("a list of objects without a database: %v", got)
		}
		if got, err := engine.ListSubjects(t.Context(), "organization:o", "can_update", "user"); err == nil {
			t.Errorf("a list of subjects without a database: %v", got)
		}
	}
	_, err = engine.Position(t.Context())
	wantReason(t, err, apierr.Unavailable, "DATABASE_UNAVAILABLE")
	_, err = engine.Check(t.Context(), "user:u", asked)
	wantReason(t, err, apierr.Unavailable, "DATABASE_UNAVAILABLE")
	again, err := server.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = again.Kill() })
	patient, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		got, err := engine.Check(patient, "user:u", asked)
		if err == nil && got[0] {
			break
		}
		if err == nil || patient.Err() != nil {
			t.Fatalf("after the restart: %v, %v", got, err)
		}
	}
}
