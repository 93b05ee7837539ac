package postgres_test

import (
	"context"
	"fmt"
	"maps"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail/trailtest"
)

// R69: an event whose bytes somebody has changed keeps nobody from the others. Lists and tails show
// what the columns beside it say and that it is damaged, and the program is told of it.
func TestDamagedEventsAreShown(t *testing.T) {
	t.Parallel()
	serving, owner := pools(t)
	entries := trailtest.Fill(t, postgres.NewEvents(serving), 5)
	_, err := postgres.NewEvents(serving).Append(t.Context(), []trail.Entry{daysAgo(t, 0, acme)}) // with a personal value
	check.NoError(t, err)
	super := pgtest.Superuser(t, owner)
	for _, statement := range []string{
		"update audit.events set canonical = 'xx' where position = 2",
		"update audit.events set canonical = '' where position = 4",
		`update audit.personal_values set value = '"eve@example.com"' where position = 6`,
	} {
		_, err := super.Exec(t.Context(), statement)
		check.NoError(t, err)
	}
	var told []postgres.Damage
	events := postgres.NewEvents(serving).Telling(func(_ context.Context, d []postgres.Damage) { told = append(told, d...) })
	listed, err := events.List(t.Context(), trail.Query{Limit: 10})
	check.NoError(t, err)
	ranged, _, err := events.Range(t.Context(), trail.Filter{}, 0, 6, 10)
	check.NoError(t, err)
	if len(told) != 6 || told[0].Position == 0 || told[0].Err == nil {
		t.Errorf("told %v", told)
	}
	for name, got := range map[string][]trail.Stored{"list": listed, "range": ranged} {
		at := map[int64]trail.Stored{}
		for _, s := range got {
			at[s.Position] = s
		}
		for position := int64(1); position <= 6; position++ {
			if s, ok := at[position]; !ok || s.Damaged != (position%2 == 0) {
				t.Errorf("%s: position %d: %+v", name, position, s)
			}
		}
		want := entries[1].Event
		e := at[2].Event
		if e.ID != want.ID || !e.Time.Equal(want.Time) || e.Action != want.Action || e.Outcome != want.Outcome || e.Source != want.Source || e.Actor.ID != want.Actor.ID {
			t.Errorf("%s: %+v, want what the columns say of %+v", name, e, want)
		}
	}
	one, err := events.List(t.Context(), trail.Query{Filter: trail.Filter{OrganizationID: acme, By: trail.ByOrganization}, Limit: 10})
	check.NoError(t, err)
	if len(one) == 0 || !one[0].Damaged || one[0].Event.OrganizationID != acme || len(one[0].Event.Changes) > 0 {
		t.Errorf("of one organization: %s", fmt.Sprint(one))
	}
	found, _, err := events.Search(t.Context(), trail.Query{Filter: trail.Filter{Search: []string{"eve"}}, Limit: 10})
	check.NoError(t, err)
	if len(found) > 0 {
		t.Errorf("a value that was never hashed is found: %v", found)
	}
}

// R69: positions may be stored twice by whoever damages the trail. Each event is shown with what
// the columns beside it say, and those that nobody asked for are left alone.
func TestDamagedEventsAtOnePosition(t *testing.T) {
	t.Parallel()
	serving, owner := pools(t)
	trailtest.Fill(t, postgres.NewEvents(serving), 2)
	_, err := postgres.NewEvents(serving).Append(t.Context(), []trail.Entry{daysAgo(t, 0, acme)}) // with a personal value
	check.NoError(t, err)
	super := pgtest.Superuser(t, owner)
	const again = `insert into audit.events (position, id, time, source, action, outcome, actor_id, organization_id, object_type, object_id, request_id, canonical)
		select position, gen_random_uuid(), time + interval '1 s', source, 'second.stored', outcome, actor_id, organization_id, object_type, object_id, request_id, `
	for _, statement := range []string{
		"update audit.events set canonical = 'xx' where position = 1",
		again + "'yy' from audit.events where position = 1",
		again + "'' from audit.events where position = 2",
		again + "canonical from audit.events where position = 3",
	} {
		_, err := super.Exec(t.Context(), statement)
		check.NoError(t, err)
	}
	columns := map[string]string{} // of each event, by its id
	rows, err := owner.Query(t.Context(), "select id::text, position || ' ' || action || ' ' || time from audit.events where canonical in ('xx', 'yy', '')")
	check.NoError(t, err)
	var id, said string
	_, err = pgx.ForEachRow(rows, []any{&id, &said}, func() error {
		columns[id] = said
		return nil
	})
	check.NoError(t, err)
	events := postgres.NewEvents(serving)
	listed, err := events.List(t.Context(), trail.Query{Limit: 10})
	check.NoError(t, err)
	ranged, _, err := events.Range(t.Context(), trail.Filter{}, 0, 3, 10)
	check.NoError(t, err)
	for name, got := range map[string][]trail.Stored{"list": listed, "range": ranged} {
		damaged := map[string]string{}
		for _, s := range got {
			if s.Damaged {
				damaged[s.Event.ID] = columns[s.Event.ID]
			} else if s.Position == 3 && (len(s.Event.Changes) == 0 || s.Event.Changes[0].Value == nil) {
				t.Errorf("%s: a personal value is missing of %+v", name, s.Event)
			}
		}
		if len(got) != 6 || !maps.Equal(damaged, columns) {
			t.Errorf("%s: of %d events are damaged %v, want %v", name, len(got), damaged, columns)
		}
	}
	second, err := events.List(t.Context(), trail.Query{Filter: trail.Filter{Action: "second.stored"}, Limit: 10})
	check.NoError(t, err)
	for _, s := range second {
		if s.Damaged && s.Event.Action != "second.stored" {
			t.Errorf("another event is shown: %+v", s)
		}
	}
	if len(second) != 3 {
		t.Errorf("%d events are shown, want 3", len(second))
	}
}
