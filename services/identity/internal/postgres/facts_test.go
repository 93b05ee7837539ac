package postgres_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/client/authz"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/outbox/outboxtest"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	"github.com/gatehouse/gatehouse/services/identity/internal/organization"
	"github.com/gatehouse/gatehouse/services/identity/internal/organization/organizationtest"
	"github.com/gatehouse/gatehouse/services/identity/internal/postgres"
	"github.com/gatehouse/gatehouse/services/identity/internal/postgres/migrations"
	"github.com/gatehouse/gatehouse/services/identity/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
	"github.com/gatehouse/gatehouse/services/identity/internal/user/usertest"
)

func at() time.Time { return time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC) }

// actor is who does everything in these tests.
const actor = "0b9f3a52-6d0f-4a52-8f0e-7a3c1f6f6a11"

func as(t *testing.T, action string) context.Context {
	t.Helper()
	objectType, _, _ := strings.Cut(action, ".")
	return grpctest.Draft(t.Context(), "identity", action, objectType, actor)
}

func users(d postgrestest.Database) usertest.Plain {
	return usertest.Plain{Store: d.Users, DeletionStore: d.Users}
}

func organizations(d postgrestest.Database) organizationtest.Plain {
	return organizationtest.Plain{Store: d.Organizations}
}

// personal creates a user with an organization of its own.
func personal(t *testing.T, d postgrestest.Database) (u user.User, token string) {
	t.Helper()
	o := organization.NewPersonal(uuid.NewString(), "Ada", at())
	u, token, err := users(d).Create(as(t, "user.created"), newUser(o.ID), &o)
	check.NoError(t, err)
	return u, token
}

func newUser(organizationID string) user.User {
	id := uuid.NewString()
	return user.User{
		OrganizationID: organizationID, ID: id, Email: id + "@example.com", State: user.Active, Revision: 1, CreateTime: at(), UpdateTime: at(),
	}
}

// fact is what an event says, as far as these tests care.
type fact struct{ action, object, organizationID string }

func facts(events []event.Event) []fact {
	var all []fact
	for _, e := range events {
		all = append(all, fact{e.Action, e.ObjectType + ":" + e.ObjectID, e.OrganizationID})
	}
	return all
}

// G2: each change leaves its events and the relationships that follow from it, in order, and says who did it.
func TestFactsOfAUser(t *testing.T) {
	t.Parallel()
	d := postgrestest.New(t)
	u, created := personal(t, d)
	_, again, err := users(d).Create(as(t, "user.created"), u, nil)
	check.NoError(t, err)
	if again != created {
		t.Errorf("a repeat has token %q, want %q", again, created)
	}
	_, err = users(d).Update(as(t, "user.updated"), user.In(u.OrganizationID), u.ID, func(u user.User) (user.User, error) {
		u.Revision++
		return u, nil
	})
	check.NoError(t, err)
	_, err = users(d).Update(as(t, "user.updated"), user.In(u.OrganizationID), u.ID, func(u user.User) (user.User, error) { return u, nil })
	check.NoError(t, err)
	var deletion user.Deletion
	var tokens []string
	for range 2 { // the second time, nothing new happens
		var token string
		deletion, token, err = users(d).BeginDelete(as(t, "user.deleted"), user.Everywhere(), u.ID, at(), func(user.User, bool) error { return nil })
		check.NoError(t, err)
		tokens = append(tokens, token)
	}
	if tokens[0] == created || tokens[0] != tokens[1] {
		t.Errorf("the deletion has tokens %q after %q", tokens, created)
	}
	check.NoError(t, users(d).FinishDelete(as(t, "user.deleted"), deletion, at()))

	object, subject := "organization:"+u.OrganizationID, "user:"+u.ID
	want := []fact{
		{"organization.created", object, u.OrganizationID},
		{"user.created", subject, u.OrganizationID},
		{"user.updated", subject, u.OrganizationID},
		{"user.deleted", subject, u.OrganizationID},
		{"organization.deleted", object, u.OrganizationID},
	}
	events := d.Events(t)
	if got := facts(events); !slices.Equal(got, want) {
		t.Errorf("got\n%v, want\n%v", got, want)
	}
	for _, e := range events {
		if e.Actor != (event.Actor{Type: event.User, ID: actor}) || e.RequestID != "test-request" || e.Source != "identity" {
			t.Errorf("%s says %+v, request %q, source %q", e.Action, e.Actor, e.RequestID, e.Source)
		}
	}
	wantRelationships(t, d, []string{
		"+" + subject + "#organization@" + object + " +" + object + "#member@" + subject + " +" + object + "#owner@" + subject +
			" +" + object + "#platform@platform:gatehouse",
		"-" + subject,
		"-" + object,
	})
}

func wantRelationships(t *testing.T, d postgrestest.Database, want []string) {
	t.Helper()
	var got []string
	for _, c := range d.Relationships(t) {
		var parts []string
		for _, w := range c.Change.Writes {
			parts = append(parts, "+"+w.String())
		}
		if c.Change.DeleteAllOf != "" {
			parts = append(parts, "-"+c.Change.DeleteAllOf)
		}
		got = append(got, strings.Join(parts, " "))
		if want := (authz.Origin{ActorType: event.User, ActorID: actor, RequestID: "test-request"}); c.Origin != want {
			t.Errorf("origin %+v, want %+v", c.Origin, want)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("relationships:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestFactsOfAnOrganization(t *testing.T) {
	t.Parallel()
	d := postgrestest.New(t)
	o := organization.Organization{ID: uuid.NewString(), DisplayName: "Analytical", Revision: 1, CreateTime: at(), UpdateTime: at()}
	for range 2 {
		_, _, err := organizations(d).Create(as(t, "organization.created"), o)
		check.NoError(t, err)
	}
	u, token, err := users(d).Create(as(t, "user.created"), newUser(o.ID), nil)
	check.NoError(t, err)
	if id, ok := mustParse(t, token).EventID(); !ok || id == "" {
		t.Errorf("token %q names no message", token)
	}
	_, err = organizations(d).Update(as(t, "organization.updated"), o.ID, func(o organization.Organization) (organization.Organization, error) {
		o.Revision++
		return o, nil
	})
	check.NoError(t, err)
	any := func(organization.Organization) error { return nil }
	if _, err := organizations(d).Delete(as(t, "organization.deleted"), o.ID, any); !errors.Is(err, organization.NotEmpty()) {
		t.Fatalf("got %v, want %v", err, organization.NotEmpty())
	}
	deletion, _, err := users(d).BeginDelete(as(t, "user.deleted"), user.In(o.ID), u.ID, at(), func(user.User, bool) error { return nil })
	check.NoError(t, err)
	check.NoError(t, users(d).FinishDelete(t.Context(), deletion, at()))
	_, err = organizations(d).Delete(as(t, "organization.deleted"), o.ID, any)
	check.NoError(t, err)

	object, subject := "organization:"+o.ID, "user:"+u.ID
	want := []fact{
		{"organization.created", object, o.ID},
		{"user.created", subject, o.ID},
		{"organization.updated", object, o.ID},
		{"user.deleted", subject, o.ID},
		{"organization.deleted", object, o.ID},
	}
	if got := facts(d.Events(t)); !slices.Equal(got, want) {
		t.Errorf("got\n%v, want\n%v", got, want)
	}
	wantRelationships(t, d, []string{
		"+" + object + "#platform@platform:gatehouse",
		"+" + subject + "#organization@" + object + " +" + object + "#member@" + subject,
		"-" + subject,
		"-" + object,
	})
}

func mustParse(t *testing.T, token string) request.ConsistencyToken {
	t.Helper()
	parsed, err := request.ParseToken(token)
	check.NoError(t, err)
	return parsed
}

// The reconciler works without a request: then the program itself is the actor.
func TestFactsOfTheReconciler(t *testing.T) {
	t.Parallel()
	d := postgrestest.New(t)
	u, _ := personal(t, d)
	deletion, _, err := users(d).BeginDelete(as(t, "user.deleted"), user.Everywhere(), u.ID, at(), func(user.User, bool) error { return nil })
	check.NoError(t, err)
	check.NoError(t, users(d).FinishDelete(t.Context(), deletion, at()))
	events := d.Events(t)
	last := events[len(events)-1]
	if last.Action != "organization.deleted" || last.ObjectID != u.OrganizationID || last.Actor != (event.Actor{Type: event.Service, ID: "identity"}) {
		t.Errorf("got %+v", last)
	}
}

// R68, G2: what is refused or not drafted changes nothing and leaves nothing.
func TestNoFactWithoutAChange(t *testing.T) {
	t.Parallel()
	d := postgrestest.New(t)
	u, _ := personal(t, d)
	events, relationships := len(d.Events(t)), len(d.Relationships(t))
	refusal := apierr.New(apierr.Aborted, "REFUSED", "no")
	taken := newUser(u.OrganizationID)
	taken.Email = u.Email
	for name, change := range map[string]func(ctx context.Context) error{
		"create in an unknown organization": func(ctx context.Context) error {
			_, _, err := users(d).Create(ctx, newUser(uuid.NewString()), nil)
			return err
		},
		"create with a taken address": func(ctx context.Context) error {
			_, _, err := users(d).Create(ctx, taken, nil)
			return err
		},
		"refused update": func(ctx context.Context) error {
			_, err := users(d).Update(ctx, user.Everywhere(), u.ID, func(u user.User) (user.User, error) { return u, refusal })
			return err
		},
		"refused deletion": func(ctx context.Context) error {
			_, _, err := users(d).BeginDelete(ctx, user.Everywhere(), u.ID, at(), func(user.User, bool) error { return refusal })
			return err
		},
		"foreign deletion": func(ctx context.Context) error {
			_, _, err := users(d).BeginDelete(ctx, user.In(uuid.NewString()), u.ID, at(), func(user.User, bool) error { return nil })
			return err
		},
		"removal of an organization with users": func(ctx context.Context) error {
			_, err := organizations(d).Delete(ctx, u.OrganizationID, func(organization.Organization) error { return nil })
			return err
		},
	} {
		if err := change(as(t, "user.tested")); err == nil {
			t.Errorf("%s succeeded", name)
		}
	}
	if _, _, err := users(d).Create(t.Context(), newUser(u.OrganizationID), nil); err == nil {
		t.Error("a change without a draft was made")
	}
	if _, err := users(d).Update(t.Context(), user.Everywhere(), u.ID, func(u user.User) (user.User, error) {
		u.DisplayName, u.Revision = "x", u.Revision+1
		return u, nil
	}); err == nil {
		t.Error("an update without a draft was made")
	}
	unsaid, o := newUser(uuid.NewString()), organization.Organization{DisplayName: "unsaid", Personal: true, Revision: 1, CreateTime: at(), UpdateTime: at()}
	o.ID = unsaid.OrganizationID
	if _, _, err := d.Users.Create(as(t, "user.tested"), user.Creation{User: unsaid, Personal: &o}); err == nil {
		t.Error("a creation that says nothing of itself was made")
	}
	if got, err := users(d).Get(t.Context(), user.Everywhere(), u.ID); err != nil || got != u {
		t.Errorf("got %+v, %v; want %+v", got, err, u)
	}
	if e, r := len(d.Events(t)), len(d.Relationships(t)); e != events || r != relationships {
		t.Errorf("%d events and %d changes of relationships were left behind", e-events, r-relationships)
	}
}

func TestOutboxTables(t *testing.T) {
	t.Parallel()
	outboxtest.CheckSchema(t, postgrestest.New(t).Pool, migrations.Schema)
}

// Who was there before Authz gets the same relationships as who comes later.
func TestMigrationRelatesUsers(t *testing.T) {
	t.Parallel()
	c := pgtest.Config(t, migrations.Schema, nil)
	before := pgtest.Before(t, migrations.Files, "003_index_users_across_organizations.sql")
	log := slog.New(slog.DiscardHandler)
	check.NoError(t, pg.Migrate(t.Context(), c, migrations.Schema, before, log))
	pool := pgtest.Open(t, c)
	own, shared := uuid.NewString(), uuid.NewString()
	owner, guest, member, leaving := uuid.NewString(), uuid.NewString(), uuid.NewString(), uuid.NewString()
	_, err := pool.Exec(t.Context(), `
		insert into identity.organizations (id, display_name, personal, revision, create_time, update_time)
		values ($1, 'own', true, 1, '2031-01-01', '2031-01-01'), ($2, 'shared', false, 1, '2031-01-02', '2031-01-02')`, own, shared)
	check.NoError(t, err)
	_, err = pool.Exec(t.Context(), `
		insert into identity.users (organization_id, id, email, display_name, locale, time_zone, state, deletion_due, revision, create_time, update_time)
		values
			($1, $3, 'Owner@example.com', '', '', '', 'active', null, 1, '2031-01-01', '2031-01-01'),
			($1, $4, 'guest@example.com', '', '', '', 'active', null, 1, '2031-01-03', '2031-01-03'),
			($2, $5, 'member@example.com', '', '', '', 'active', null, 1, '2031-01-04', '2031-01-04'),
			($2, $6, 'leaving@example.com', '', '', '', 'deleting', '2031-01-05', 1, '2031-01-05', '2031-01-05')`,
		own, shared, owner, guest, member, leaving)
	check.NoError(t, err)
	check.NoError(t, pg.Migrate(t.Context(), c, migrations.Schema, migrations.Files, log))

	var got []string
	d := postgrestest.Database{Pool: pool}
	for _, r := range d.Relationships(t) {
		for _, w := range r.Change.Writes {
			got = append(got, w.String())
		}
		if r.Origin != (authz.Origin{ActorType: event.Service, ActorID: "identity"}) {
			t.Errorf("origin %+v", r.Origin)
		}
	}
	want := []string{
		"organization:" + own + "#platform@platform:gatehouse", "organization:" + shared + "#platform@platform:gatehouse",
		"user:" + owner + "#organization@organization:" + own, "organization:" + own + "#member@user:" + owner, "organization:" + own + "#owner@user:" + owner,
		"user:" + guest + "#organization@organization:" + own, "organization:" + own + "#member@user:" + guest,
		"user:" + member + "#organization@organization:" + shared, "organization:" + shared + "#member@user:" + member,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	u, err := postgres.NewUsers(pool, nil).Get(t.Context(), user.In(own), owner)
	if err != nil || u.Email != "owner@example.com" {
		t.Errorf("got %+v, %v; want the address in lower case", u, err)
	}
}
