package postgres

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/resource"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	"github.com/gatehouse/gatehouse/services/identity/internal/postgres/migrations"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// oneRow is a unique index: what it finds may be sorted.
const oneRow = "users_email_key"

// Every list, and the search for due deletions, reads an index in its order: a sort or a scan of a table would grow with the tenant.
func TestListsUseTheirIndex(t *testing.T) {
	pool := pgtest.New(t, migrations.Schema, migrations.Files)
	organizationID := fill(t, pool)
	at := time.Date(2031, 1, 1, 0, 0, 30, 0, time.UTC)
	after := &resource.Cursor{CreateTime: at, ID: uuid.NewString()}
	email := []resource.Condition{{Field: "email", Op: resource.Equal, Value: "77@example.com"}}
	name := []resource.Condition{{Field: "display_name", Op: resource.Equal, Value: "Ada"}}
	notName := []resource.Condition{{Field: "display_name", Op: resource.NotEqual, Value: "Ada"}}
	since := []resource.Condition{{Field: "create_time", Op: resource.GreaterEqual, Value: at}}
	users := func(q resource.Query) (string, pgx.StrictNamedArgs, error) {
		return listUsers(user.In(organizationID), q)
	}
	everybody := func(q resource.Query) (string, pgx.StrictNamedArgs, error) { return listUsers(user.Everywhere(), q) }
	suspended := []resource.Condition{{Field: "state", Op: resource.Equal, Value: user.Suspended}}
	unproven := []resource.Condition{{Field: "email_verified", Op: resource.Equal, Value: false}}
	for title, c := range map[string]struct {
		build func(resource.Query) (string, pgx.StrictNamedArgs, error)
		query resource.Query
		index string
	}{
		"users":                     {users, resource.Query{Limit: 51}, "users_by_create_time"},
		"users, next page":          {users, resource.Query{Limit: 51, After: after}, "users_by_create_time"},
		"users by email":            {users, resource.Query{Limit: 51, Where: email}, oneRow},
		"users by email, next page": {users, resource.Query{Limit: 51, Where: email, After: after}, oneRow},
		"users by name":             {users, resource.Query{Limit: 51, Where: name}, "users_by_display_name"},
		"users by state":            {users, resource.Query{Limit: 51, Where: suspended}, "users_by_standing"},
		"users by state, next page": {users, resource.Query{Limit: 51, Where: suspended, After: after}, "users_by_standing"},
		"everybody by state":        {everybody, resource.Query{Limit: 51, Where: suspended}, "all_users_by_standing"},
		"everybody by state, next":  {everybody, resource.Query{Limit: 51, Where: suspended, After: after}, "all_users_by_standing"},
		"unproven users":            {users, resource.Query{Limit: 51, Where: unproven}, "users_by_email_verified"},
		"unproven users, next page": {users, resource.Query{Limit: 51, Where: unproven, After: after}, "users_by_email_verified"},
		"everybody unproven":        {everybody, resource.Query{Limit: 51, Where: unproven}, "all_users_by_email_verified"},
		"everybody unproven, next":  {everybody, resource.Query{Limit: 51, Where: unproven, After: after}, "all_users_by_email_verified"},
		"users not by name":         {users, resource.Query{Limit: 51, Where: notName}, "users_by_create_time"},
		"users since":               {users, resource.Query{Limit: 51, Where: since, After: after}, "users_by_create_time"},
		"everybody":                 {everybody, resource.Query{Limit: 51}, "all_users_by_create_time"},
		"everybody, next page":      {everybody, resource.Query{Limit: 51, After: after}, "all_users_by_create_time"},
		"everybody by email":        {everybody, resource.Query{Limit: 51, Where: email}, "all_users_by_email"},
		"everybody by email, next":  {everybody, resource.Query{Limit: 51, Where: email, After: after}, "all_users_by_email"},
		"everybody by name":         {everybody, resource.Query{Limit: 51, Where: name}, "all_users_by_display_name"},
		"everybody not by name":     {everybody, resource.Query{Limit: 51, Where: notName}, "all_users_by_create_time"},
		"everybody since":           {everybody, resource.Query{Limit: 51, Where: since, After: after}, "all_users_by_create_time"},
		"organizations":             {listOrganizations, resource.Query{Limit: 51}, "organizations_by_create_time"},
		"organizations, next page":  {listOrganizations, resource.Query{Limit: 51, After: after}, "organizations_by_create_time"},
		"organizations by name":     {listOrganizations, resource.Query{Limit: 51, Where: name}, "organizations_by_display_name"},
		"organizations since":       {listOrganizations, resource.Query{Limit: 51, Where: since}, "organizations_by_create_time"},
	} {
		t.Run(title, func(t *testing.T) {
			sql, args, err := c.build(c.query)
			if err != nil {
				t.Fatal(err)
			}
			without := []string{"Seq Scan", "Bitmap Heap Scan", "Sort"}
			if c.index == oneRow {
				without = without[:2]
			}
			pgtest.WantIndex(t, pool, c.index, sql, args, without...)
		})
	}
}

// What is looked for again and again, because it is due or over, is found by an index.
func TestWhatIsDueIsFoundByIndex(t *testing.T) {
	pool := pgtest.New(t, migrations.Schema, migrations.Files)
	fill(t, pool)
	at := time.Date(2031, 1, 1, 0, 0, 30, 0, time.UTC)
	for title, c := range map[string]struct {
		sql   string
		args  pgx.StrictNamedArgs
		index string
	}{
		"due standings":   {claimStanding, pgx.StrictNamedArgs{"now": at, "until": at}, "standings_due"},
		"due deletions":   {claimDeletion, pgx.StrictNamedArgs{"now": at, "until": at}, "users_deletion_due"},
		"due invitations": {claimInvitation, pgx.StrictNamedArgs{"now": at, "until": at}, "users_invitation_due"},
		"deleted users":   {forgetDeleted, pgx.StrictNamedArgs{"before": at, "row_limit": 10}, "deleted_users_delete_time"},
	} {
		t.Run(title, func(t *testing.T) {
			pgtest.WantIndex(t, pool, c.index, c.sql, c.args, "Seq Scan", "Bitmap Heap Scan", "Sort")
		})
	}
}

// fill stores enough rows that the planner has a choice, and returns the organization that most users are in.
func fill(t *testing.T, pool *pgxpool.Pool) string {
	t.Helper()
	organizationID := uuid.NewString()
	for _, sql := range []string{
		`insert into identity.organizations (id, display_name, personal, revision, create_time, update_time)
		select case n when 0 then @id::uuid else gen_random_uuid() end, 'Ada ' || n, false, 1, t, t
		from generate_series(0, 3000) n, lateral (select timestamptz '2031-01-01' + n * interval '10 ms' as t) times`,
		`alter table identity.users disable trigger users_created`, // each row has a writer of its own
		`insert into identity.users (organization_id, id, email, display_name, locale, time_zone, state, standing, deletion_due, email_verified, revision, create_time, update_time, writer)
		select o, gen_random_uuid(), n || '@example.com', 'Ada ' || n, '', '', case when n % 100 = 0 then 'deleting' else 'active' end,
			case when n % 10 = 1 then 'suspended' else 'active' end, case when n % 100 = 0 then t end, n % 10 <> 2, 1, t, t, n::text::xid8
		from generate_series(0, 6000) n, lateral (select timestamptz '2031-01-01' + n * interval '10 ms' as t) times,
			lateral (select case when n % 3 = 0 then (select id from identity.organizations where id <> @id limit 1) else @id::uuid end as o) tenants`,
		`alter table identity.users disable trigger users_changed`, // likewise
		`update identity.users set standing = 'invited', invitation_due = create_time where email like '%5@example.com' and state = 'active'`,
		`insert into identity.deleted_users (id, delete_time, organization_id, writer)
		select gen_random_uuid(), t, case when n % 3 > 0 then @id::uuid else gen_random_uuid() end, n::text::xid8 from generate_series(0, 6000) n, lateral (select timestamptz '2031-01-01' + n * interval '10 ms' as t) times
		where @id::uuid is not null`,
		`insert into identity.standings (user_id, suspended, revision, due)
		select id, true, 2, create_time from identity.users where @id::uuid is not null`,
	} {
		args := pgx.StrictNamedArgs{}
		if strings.Contains(sql, "@id") {
			args["id"] = organizationID
		}
		if _, err := pool.Exec(t.Context(), sql, args); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := pool.Exec(t.Context(), `analyze identity.organizations, identity.users, identity.deleted_users, identity.standings`); err != nil {
		t.Fatal(err)
	}
	return organizationID
}

// An import looks each address up, also by a plan from when there were few users: connections keep
// plans, and by one that reads the organization each message would cost more than the one before.
func TestAnImportReadsNoOrganization(t *testing.T) {
	pool := pgtest.New(t, migrations.Schema, migrations.Files)
	var plan string
	args := pgx.StrictNamedArgs{"organization_id": uuid.NewString(), "emails": []string{"a@example.com", "b@example.com"}}
	if err := pool.QueryRow(t.Context(), "explain (format json) "+selectHolders, args).Scan(&plan); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(plan, `"Index Name": "`+oneRow+`"`) || !regexp.MustCompile(`"Index Cond": ".*email = asked\.email`).MatchString(plan) {
		t.Errorf("addresses are not looked up:\n%s", plan)
	}
}
