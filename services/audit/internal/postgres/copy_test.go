package postgres_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/relation"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail/trailtest"
)

// Each column has what the event says, over more bytes than are sent at once.
func TestColumnsSayWhatTheEventDoes(t *testing.T) {
	t.Parallel()
	serving, _ := pools(t)
	const upper = "0192F0C1-2F6E-7C3A-9D55-0B8A4F3C2E11"
	long := []byte(`"` + strings.Repeat("x", 50_000) + `"`)
	var entries []trail.Entry
	for _, change := range []func(*event.Event){
		func(*event.Event) {},
		func(e *event.Event) {
			e.OrganizationID, e.ObjectType, e.ObjectID, e.RequestID = "", "", "", ""
			e.Actor = event.Actor{Type: event.Anonymous}
			e.Time = time.Date(1999, 12, 31, 23, 59, 59, 999_999_000, time.UTC)
		},
		func(e *event.Event) {
			e.Actor.ID, e.ObjectID, e.Outcome, e.Reason = upper, upper, event.Denied, "PERMISSION_DENIED"
			e.Changes = append(event.PersonalTexts("user.display_name", "Ada", "user.email", "Ünï@example.com"), event.Change{Field: "a", Value: long})
		},
		func(e *event.Event) {
			e.ObjectID = "Grüße"
			e.Changes = append(event.PersonalTexts("user.display_name", "Charles"), event.Change{Field: "a", Value: long})
		},
	} {
		entries = append(entries, trailtest.Entry(t, trailtest.Event(change)))
	}
	_, err := postgres.NewEvents(serving).Append(t.Context(), entries)
	check.NoError(t, err)
	rows, err := serving.Query(t.Context(), `
		select position, id::text, time, source, action, outcome, actor_id, coalesce(organization_id::text, ''), object_type, object_id, request_id,
			convert_from(canonical, 'utf8'), (select coalesce(array_agg(field || ' ' || encode(salt, 'hex') || ' ' || value order by field collate "C"), '{}')
				from audit.personal_values v where v.position = e.position)
		from audit.events e order by position`)
	check.NoError(t, err)
	got, err := pgx.CollectRows(rows, pgx.RowToStructByPos[columns])
	check.NoError(t, err)
	if len(got) != len(entries) {
		t.Fatalf("%d rows, want %d", len(got), len(entries))
	}
	for i, r := range got {
		r.Time = r.Time.UTC()
		want := columnsOf(int64(i+1), entries[i])
		if !reflect.DeepEqual(r, want) {
			t.Errorf("got  %+v\nwant %+v", r, want)
		}
	}
}

type columns struct {
	Position                                                            int64
	ID                                                                  string
	Time                                                                time.Time
	Source, Action, Outcome, Actor, Organization, Type, Object, Request string
	Canonical                                                           string
	Personal                                                            []string
}

func columnsOf(position int64, entry trail.Entry) columns {
	e := entry.Event
	c := columns{
		Position: position, ID: e.ID, Time: e.Time, Source: e.Source, Action: e.Action, Outcome: string(e.Outcome), Actor: relation.CanonicalID(e.Actor.ID),
		Organization: e.OrganizationID, Type: e.ObjectType, Object: relation.CanonicalID(e.ObjectID), Request: e.RequestID,
		Canonical: string(entry.Sealed.Canonical), Personal: []string{},
	}
	for _, p := range entry.Sealed.Personal {
		c.Personal = append(c.Personal, fmt.Sprintf("%s %x %s", p.Field, p.Salt, p.Value))
	}
	slices.Sort(c.Personal)
	return c
}
