package app

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/program"
	"github.com/gatehouse/gatehouse/internal/testkit/apptest"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres/migrations"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail/trailtest"
)

// printed is what a verb prints.
func printed(t *testing.T, run func(program.Process) error) string {
	t.Helper()
	var out bytes.Buffer
	check.NoError(t, run(program.Process{Name: Name, Stdout: &out, Stderr: io.Discard}))
	return out.String()
}

// What an operator does with the trail from day to day, each verb as the owner.
func TestOwnersVerbs(t *testing.T) {
	t.Parallel()
	serving, owner := pgtest.Split(t, migrations.Schema, migrations.Files)
	user, organization := uuid.NewString(), uuid.NewString()
	store := postgres.NewEvents(pgtest.Open(t, serving))
	for range 3 { // of each the address of mail, and the session
		trailtest.Fill(t, store, 1, func(e *event.Event) {
			e.Time, e.Actor.ID, e.OrganizationID, e.Outcome, e.Reason = time.Now().AddDate(0, 0, -40), user, organization, event.Denied, "PERMISSION_DENIED"
			e.ObjectID = user
			e.Changes = []event.Change{{Field: "email", Value: json.RawMessage(`"ada@example.com"`), Personal: true}}
		})
	}
	pgtest.Exec(t, owner, "insert into audit.origins (number, origin) values (1, 'test')", // what no checkpoint covers stays
		"insert into audit.checkpoints (origin, size, root, note) values (1, 3, sha256(''), '')")
	id := strings.TrimSpace(printed(t, (&HoldSetConfig{Postgres: owner, Subject: user, Reason: "a case"}).Run))
	if got := printed(t, (&HoldListConfig{Postgres: owner}).Run); got != id+"  organization any  subject "+user+"  any to any  a case\n" {
		t.Errorf("holds: %s", got)
	}
	if got := printed(t, (&EraseConfig{Postgres: owner, User: user, Reason: "asked"}).Run); got != "0 personal values are erased; a hold keeps 6\n" {
		t.Errorf("erase: %s", got)
	}
	printed(t, (&HoldLiftConfig{Postgres: owner, ID: id, Reason: "closed"}).Run)
	if got := printed(t, (&EraseConfig{Postgres: owner, User: user, Reason: "asked"}).Run); got != "6 personal values are erased; a hold keeps 0\n" {
		t.Errorf("erase: %s", got)
	}
	printed(t, (&RetentionSetConfig{Postgres: owner, Class: "refusals", Organization: organization, Days: 30, Reason: "law"}).Run)
	if got := printed(t, (&KeepConfig{Postgres: owner, Every: time.Hour, Once: true}).Run); !strings.HasPrefix(got, "2 events and 0 personal values are removed; no month is dropped as a whole; ") {
		t.Errorf("keep: %s", got)
	}
	list := printed(t, (&RetentionListConfig{Postgres: owner}).Run)
	if lines := strings.Split(list, "\n"); len(lines) != 5 || !strings.Contains(lines[0], "for ever    nothing is gone") || !strings.Contains(lines[3], "30 days  gone before 20") {
		t.Errorf("retentions:\n%s", list)
	}
	if got := pgtest.Count(t, owner, "select count(*) from audit.outbox"); got != 6 {
		t.Errorf("%d events are on their way", got)
	}
	for _, run := range []func(program.Process) error{
		(&EraseConfig{Postgres: serving, User: user, Reason: "r"}).Run, (&KeepConfig{Postgres: serving, Every: time.Hour, Once: true}).Run,
		(&HoldSetConfig{Postgres: serving, Subject: user, Reason: "r"}).Run,
	} { // R72
		if err := run(program.Process{Stdout: io.Discard}); err == nil {
			t.Error("the serving role may do it")
		}
	}
}

// A program that stays runs when the last run of anybody is long enough ago, and the serving
// program says when that was.
func TestKeepStays(t *testing.T) {
	serving, owner := pgtest.Split(t, migrations.Schema, migrations.Files)
	events := postgres.NewEvents(pgtest.Open(t, serving))
	last := func() time.Time {
		t.Helper()
		at, err := events.LastKept(t.Context())
		check.NoError(t, err)
		return at
	}
	pgtest.Exec(t, owner, "update audit.upkeep set last_run = now() - interval '61 minutes'")
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		(&KeepConfig{Postgres: owner, Every: time.Hour}).stay(ctx, slog.New(slog.DiscardHandler))
	}()
	check.Eventually(t, "it runs", func() bool { return time.Since(last()) < time.Hour })
	cancel()
	<-stopped
	keptMetric(t, serving)
}

// keptMetric waits until the serving program says when the trail was kept.
func keptMetric(t *testing.T, serving pg.Config) {
	t.Helper()
	ports := apptest.FreePorts(t, Name)
	app := start(t, configured(t, ports, serving))
	defer app.RequireStop()
	check.Eventually(t, "the metric", func() bool {
		return strings.Contains(apptest.Get(t, ports.Ops, "/metrics", http.StatusOK), "\ngatehouse_audit_kept_timestamp_seconds 1.")
	})
}
