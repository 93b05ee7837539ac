package app

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres/migrations"
)

// Somebody who reads the trail for long, such as pg_dump, keeps months from being made, and no
// program from starting: that is a warning, and the next one makes them.
func TestAStartDoesNotWaitForMonths(t *testing.T) {
	t.Parallel()
	serving, owner := pgtest.Split(t, migrations.Schema, migrations.Files)
	reader, err := pgtest.Open(t, serving).Begin(t.Context())
	check.NoError(t, err)
	defer func() { _ = reader.Rollback(context.WithoutCancel(t.Context())) }()
	_, err = reader.Exec(t.Context(), "select from audit.events")
	check.NoError(t, err)
	var logged bytes.Buffer
	log := slog.New(slog.NewTextHandler(&logged, nil))
	check.NoError(t, makeMonths(t.Context(), owner, log, 2*time.Second))
	if !strings.Contains(logged.String(), "level=WARN") {
		t.Errorf("it is not said:\n%s", &logged)
	}
	const months = "select count(*) from pg_inherits where inhparent = 'audit.events'::regclass"
	before := pgtest.Count(t, owner, months)
	check.NoError(t, reader.Rollback(t.Context()))
	check.NoError(t, makeMonths(t.Context(), owner, log, monthsPatience))
	if after := pgtest.Count(t, owner, months); after <= before {
		t.Errorf("%d months are there, and %d were", after, before)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := makeMonths(ended, owner, log, monthsPatience); err == nil {
		t.Error("who was told to end says that it is done")
	}
}
