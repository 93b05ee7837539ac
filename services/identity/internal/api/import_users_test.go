package api_test

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
)

// importer is somebody who may create users in the own organization.
func (s service) importer(t testing.TB) *identityv1.User {
	t.Helper()
	u := s.signedUp(t)
	s.grants.Allow(u.GetId(), "can_create_users", "organization:"+u.GetOrganizationId())
	return u
}

// imported sends an import and returns its answer and trailer.
func (s service) imported(t testing.TB, by *identityv1.User, messages ...*identityv1.ImportUsersRequest) (*identityv1.ImportUsersResponse, metadata.MD, error) {
	t.Helper()
	stream, err := s.as(by).ImportUsers(t.Context())
	check.NoError(t, err)
	for _, m := range messages {
		if stream.Send(m) != nil {
			break // the answer says why
		}
	}
	answer, err := stream.CloseAndRecv()
	return answer, stream.Trailer(), err
}

func part(organizationID string, users ...*identityv1.ImportedUser) *identityv1.ImportUsersRequest {
	return &identityv1.ImportUsersRequest{OrganizationId: organizationID, Users: users}
}

func wantStored(t *testing.T, trailer metadata.MD, want string) {
	t.Helper()
	if got := trailer.Get(request.StoredMessagesHeader); len(got) != 1 || got[0] != want {
		t.Errorf("the trailer says that %v messages are stored, want %s", got, want)
	}
}

// An import says what became of each user, and changes nothing when it is repeated.
func TestImportUsers(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada := s.importer(t)
	o := ada.GetOrganizationId()
	messages := []*identityv1.ImportUsersRequest{
		part(o, &identityv1.ImportedUser{Email: "Grace@Example.com", DisplayName: "Grace", Locale: "en-US", TimeZone: "America/New_York"},
			&identityv1.ImportedUser{Email: ada.GetEmail(), DisplayName: "Somebody"}),
		part(o, &identityv1.ImportedUser{Email: ada.GetEmail()}, &identityv1.ImportedUser{Email: "grace@example.com", TimeZone: "UTC"}),
	}
	answer, trailer, err := s.imported(t, ada, messages...)
	check.NoError(t, err)
	want := &identityv1.ImportUsersResponse{Messages: 2, Created: 1, Exists: 1, Conflicts: 2, Refusals: []*identityv1.ImportRefusal{
		{Message: 1, Index: 1, Email: ada.GetEmail(), Reason: "EMAIL_TAKEN"}, {Message: 2, Index: 1, Email: "grace@example.com", Reason: "EMAIL_TAKEN"},
	}}
	if diff := cmp.Diff(want, answer, protocmp.Transform()); diff != "" {
		t.Errorf("the answer (-want +got):\n%s", diff)
	}
	wantStored(t, trailer, "2")
	wantToken(t, trailer)
	want.Created, want.Exists = 0, 2
	answer, _, err = s.imported(t, ada, messages...)
	if diff := cmp.Diff(want, answer, protocmp.Transform()); err != nil || diff != "" {
		t.Errorf("repeated: %v (-want +got):\n%s", err, diff)
	}
	s.wantStored(t, ada)
	s.grants.Allow(ada.GetId(), "can_list_users", "organization:"+o)
	page, err := s.as(ada).ListUsers(t.Context(), &identityv1.ListUsersRequest{OrganizationId: o, Filter: `email = "grace@example.com"`})
	check.NoError(t, err)
	grace := page.GetUsers()[0]
	if grace.GetDisplayName() != "Grace" || grace.GetLocale() != "en-US" || grace.GetTimeZone() != "America/New_York" || grace.GetOrganizationId() != o {
		t.Errorf("imported %v", grace)
	}
}

// The event of an imported user is that of a created one.
func TestImportedUsersAreRecordedLikeCreatedOnes(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada := s.importer(t)
	_, err := s.as(ada).CreateUser(t.Context(), &identityv1.CreateUserRequest{OrganizationId: ada.GetOrganizationId(), Email: "b@example.com", DisplayName: "B"})
	check.NoError(t, err)
	_, _, err = s.imported(t, ada, part(ada.GetOrganizationId(), &identityv1.ImportedUser{Email: "c@example.com", DisplayName: "C"}))
	check.NoError(t, err)
	events, related := s.Events(t), s.Relationships(t)
	created, imported := events[len(events)-2], events[len(events)-1]
	if imported.ObjectID == created.ObjectID || imported.ID == created.ID || imported.Method != "gatehouse.identity.v1.UserService/ImportUsers" {
		t.Errorf("recorded %+v after %+v", imported, created)
	}
	plain := func(e event.Event) event.Event {
		e.ID, e.ObjectID, e.RequestID, e.Method, e.Time = "", "", "", "", created.Time
		e.Actor.SessionID = ""
		for i := range e.Changes {
			if e.Changes[i].Field != "organization_id" {
				e.Changes[i].Value, e.Changes[i].Hash = nil, "" // salted
			}
		}
		return e
	}
	if diff := cmp.Diff(plain(created), plain(imported)); diff != "" {
		t.Errorf("events (-created +imported):\n%s", diff)
	}
	if last := related[len(related)-1]; len(last.Change.Writes) != 2 || last.Origin.ActorID != ada.GetId() {
		t.Errorf("relationships %+v", last)
	}
}

// The relationships of an import travel together: others who join wait for few changes, not for one
// of each user.
func TestImportedUsersJoinTogether(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada := s.importer(t)
	before := len(s.Relationships(t))
	m := part(ada.GetOrganizationId())
	for n := range 100 {
		m.Users = append(m.Users, &identityv1.ImportedUser{Email: fmt.Sprintf("u%d@example.com", n)})
	}
	_, _, err := s.imported(t, ada, m)
	check.NoError(t, err)
	changes := s.Relationships(t)[before:]
	joined := map[string]int{}
	for _, c := range changes {
		for _, w := range c.Change.Writes {
			joined[w.Relation]++
		}
	}
	if len(changes) != 2 || joined["organization"] != 100 || joined["member"] != 100 {
		t.Errorf("%d changes add %v", len(changes), joined)
	}
}

// Each message is admitted by itself, valid as a whole or refused as a whole; what came before it
// is stored.
func TestImportThatBreaks(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada, eve := s.importer(t), s.signedUp(t)
	o := ada.GetOrganizationId()
	good := func(n int) *identityv1.ImportedUser {
		return &identityv1.ImportedUser{Email: fmt.Sprintf("u%d@example.com", n)}
	}
	answer, trailer, err := s.imported(t, ada, part(o, good(1)), part(eve.GetOrganizationId(), good(2)), part(o, good(3)))
	if answer != nil {
		t.Errorf("answered %v", answer)
	}
	wantError(t, err, apierr.NotFound, "ORGANIZATION_NOT_FOUND")
	wantStored(t, trailer, "1")
	_, trailer, err = s.imported(t, ada, part(o, good(1)), part(o, good(4), &identityv1.ImportedUser{Email: "x"}))
	wantViolation(t, err, "users[1].email", "string.email")
	wantStored(t, trailer, "1")
	_, trailer, err = s.imported(t, ada, part(o, good(4), &identityv1.ImportedUser{Email: "y@example.com", Locale: "xx-YY", TimeZone: "UTC"}))
	wantViolation(t, err, "users[1].locale", "locale")
	wantStored(t, trailer, "0")
	_, _, err = s.imported(t, ada, part(o, &identityv1.ImportedUser{Email: "y@example.com", TimeZone: "Mars/Base"}))
	wantViolation(t, err, "users[0].time_zone", "time_zone")
	_, _, err = s.imported(t, eve, part("", good(1)))
	wantError(t, err, apierr.PermissionDenied, "PERMISSION_DENIED")
	var stored int
	check.NoError(t, s.Pool.QueryRow(t.Context(), `select count(*) from identity.users where email like 'u%'`).Scan(&stored))
	if stored != 1 {
		t.Errorf("%d users are stored, want the first", stored)
	}
	answer, trailer, err = s.imported(t, ada)
	check.NoError(t, err)
	if answer.GetMessages() != 0 {
		t.Errorf("an empty import is answered %v", answer)
	}
	wantStored(t, trailer, "0")
}

// The answer names the first 1,000 refusals and counts all.
func TestImportNamesTheFirstRefusals(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada := s.importer(t)
	var messages []*identityv1.ImportUsersRequest
	for range 11 {
		m := part(ada.GetOrganizationId())
		for range 100 {
			m.Users = append(m.Users, &identityv1.ImportedUser{Email: ada.GetEmail(), DisplayName: "Another"})
		}
		messages = append(messages, m)
	}
	answer, _, err := s.imported(t, ada, messages...)
	check.NoError(t, err)
	if answer.GetConflicts() != 1100 || len(answer.GetRefusals()) != 1000 || answer.GetRefusals()[999].GetMessage() != 10 {
		t.Errorf("%d conflicts, %d refusals", answer.GetConflicts(), len(answer.GetRefusals()))
	}
}

// An import of 10,000 users is cut in the middle and repeated: exactly the users of the file are
// there, with one event each.
func TestImportIsKilledAndRepeated(t *testing.T) {
	t.Parallel()
	importTwice(t, newService(t), 10_000)
}

// importTwice cuts an import when half of it is sent, then sends all of it, and returns how many
// users the second one created, and how long it took.
func importTwice(t testing.TB, s service, users int) (created int64, took time.Duration) {
	t.Helper()
	ada := s.importer(t)
	messages := make([]*identityv1.ImportUsersRequest, users/100)
	for i := range messages {
		messages[i] = part(ada.GetOrganizationId())
		for j := range 100 {
			messages[i].Users = append(messages[i].Users, &identityv1.ImportedUser{Email: "u" + strconv.Itoa(i*100+j) + "@example.com", DisplayName: "U"})
		}
	}
	ctx, kill := context.WithCancel(t.Context())
	stream, err := s.as(ada).ImportUsers(ctx, grpc.WaitForReady(true))
	check.NoError(t, err)
	for _, m := range messages[:len(messages)/2] {
		check.NoError(t, stream.Send(m))
	}
	check.Within(t, 5*time.Minute, "a quarter is stored", func() error {
		var id string
		return s.Pool.QueryRow(t.Context(), `select id from identity.users where email = $1`, "u"+strconv.Itoa(users/4)+"@example.com").Scan(&id)
	})
	kill()
	began := time.Now()
	answer, _, err := s.imported(t, ada, messages...)
	took = time.Since(began)
	check.NoError(t, err)
	if answer.GetCreated()+answer.GetExists() != int64(users) || answer.GetConflicts() != 0 || answer.GetMessages() != int64(len(messages)) {
		t.Errorf("answered %v", answer)
	}
	var rows, addresses, recorded, of int
	check.NoError(t, s.Pool.QueryRow(t.Context(), `select count(*), count(distinct email) from identity.users where email ~ '^u[0-9]+@'`).Scan(&rows, &addresses))
	objects := map[string]bool{}
	for _, e := range s.Events(t) {
		if e.Action == "user.created" && e.Method == "gatehouse.identity.v1.UserService/ImportUsers" {
			recorded++
			objects[e.ObjectID] = true
		}
	}
	of = len(objects)
	if rows != users || addresses != users || recorded != users || of != users {
		t.Errorf("%d users with %d addresses, %d events of %d users; want %d of each", rows, addresses, recorded, of, users)
	}
	if answer.GetExists() <= int64(users/4) || answer.GetCreated() == 0 {
		t.Errorf("the first one was not cut in its middle: %v", answer)
	}
	t.Logf("the second time %d were created, %d there", answer.GetCreated(), answer.GetExists())
	return answer.GetCreated(), took
}
