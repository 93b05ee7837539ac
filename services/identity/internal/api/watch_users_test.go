package api_test

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
)

// watch is an open stream of users.
type watch struct {
	t      *testing.T
	stream grpc.ServerStreamingClient[identityv1.WatchUsersResponse]
	cursor string
}

func (s service) watch(t *testing.T, by *identityv1.User, r *identityv1.WatchUsersRequest) *watch {
	t.Helper()
	stream, err := s.as(by).WatchUsers(t.Context(), r)
	check.NoError(t, err)
	return &watch{t: t, stream: stream}
}

// next is the next message: "" for a sign of life, the id of a user, or that of a deletion with a
// minus.
func (w *watch) next() (said string, u *identityv1.User) {
	w.t.Helper()
	m, err := w.stream.Recv()
	check.NoError(w.t, err)
	if m.GetCursor() == "" || len(m.GetCursor()) > 2048 {
		w.t.Fatalf("%v has a cursor of %d bytes", m, len(m.GetCursor()))
	}
	w.cursor = m.GetCursor()
	if m.GetDeleted() != nil {
		return "-" + m.GetDeleted().GetId() + " of " + m.GetDeleted().GetOrganizationId(), nil
	}
	return m.GetUser().GetId(), m.GetUser()
}

// want reads messages; those of one kind come in any order, since they are ordered by transaction.
func (w *watch) want(said ...string) {
	w.t.Helper()
	open := map[string]bool{}
	for _, one := range said {
		open[one] = true
	}
	for range said {
		got, _ := w.next()
		if !open[got] {
			w.t.Fatalf("the stream says %q, want one of %v", got, open)
		}
		delete(open, got)
	}
}

func (w *watch) refused(kind apierr.Kind, reason string) {
	w.t.Helper()
	_, err := w.stream.Recv()
	wantError(w.t, err, kind, reason)
}

// Users first, a sign of life when all were told, then what changes; a later stream goes on after
// the cursor.
func TestWatchUsers(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada, foreign := s.signedUp(t), s.signedUp(t)
	s.grants.Allow(ada.GetId(), "can_list_users", "platform:gatehouse")
	s.grants.Allow(ada.GetId(), "can_list_users", "organization:"+ada.GetOrganizationId())
	look := func() { check.NoError(t, s.watching.Look(context.WithoutCancel(t.Context()))) }
	own := s.watch(t, ada, &identityv1.WatchUsersRequest{OrganizationId: ada.GetOrganizationId()})
	all := s.watch(t, ada, &identityv1.WatchUsersRequest{})
	own.want(ada.GetId())
	own.want("")
	all.want(ada.GetId(), foreign.GetId())
	all.want("")
	look()
	ownCursor, allCursor := own.cursor, all.cursor

	_, err := s.as(foreign).UpdateUser(t.Context(), &identityv1.UpdateUserRequest{User: &identityv1.User{Id: foreign.GetId(), DisplayName: "Eve"}})
	check.NoError(t, err)
	changed, err := s.as(ada).UpdateUser(t.Context(), &identityv1.UpdateUserRequest{User: &identityv1.User{Id: ada.GetId(), DisplayName: "Ada L."}})
	check.NoError(t, err)
	look()
	if _, u := own.next(); u.GetEtag() != changed.GetUser().GetEtag() || u.GetDisplayName() != "Ada L." {
		t.Errorf("told %v, want %v", u, changed)
	}
	all.want(ada.GetId(), foreign.GetId())
	s.logins.down.Store(true) // the deletion begins, and is told
	_, err = s.as(foreign).DeleteUser(t.Context(), &identityv1.DeleteUserRequest{Id: foreign.GetId()})
	wantError(t, err, apierr.Unavailable, "AUTH_UNAVAILABLE")
	look()
	gone := "-" + foreign.GetId() + " of " + foreign.GetOrganizationId()
	all.want(gone)
	s.logins.down.Store(false) // and ends, which is not told again
	_, err = s.as(foreign).DeleteUser(t.Context(), &identityv1.DeleteUserRequest{Id: foreign.GetId()})
	check.NoError(t, err)
	again := s.watch(t, ada, &identityv1.WatchUsersRequest{Cursor: all.cursor})
	again.want("")
	resumed := s.watch(t, ada, &identityv1.WatchUsersRequest{OrganizationId: ada.GetOrganizationId(), Cursor: ownCursor})
	resumed.want(ada.GetId())
	resumed.want("")
	resumed = s.watch(t, ada, &identityv1.WatchUsersRequest{Cursor: allCursor})
	resumed.want(ada.GetId(), gone)
	resumed.want("")
}

// Who breaks off in the middle of a read is told its rest and what changed since, before the sign of
// life that says that this was all, also when nothing rings any more.
func TestWatchUsersFromTheMiddleOfARead(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada, other := s.signedUp(t), s.signedUp(t)
	s.grants.Allow(ada.GetId(), "can_list_users", "platform:gatehouse")
	all := s.watch(t, ada, &identityv1.WatchUsersRequest{})
	first, told := all.next()
	if first == other.GetId() {
		other = ada
	}
	middle := all.cursor
	all.want(other.GetId())
	_, err := s.as(told).UpdateUser(t.Context(), &identityv1.UpdateUserRequest{User: &identityv1.User{Id: first, DisplayName: "Later"}})
	check.NoError(t, err)
	resumed := s.watch(t, ada, &identityv1.WatchUsersRequest{Cursor: middle})
	resumed.want(other.GetId())
	if id, u := resumed.next(); id != first || u.GetDisplayName() != "Later" {
		t.Errorf("told %q %v, want what changed since", id, u)
	}
	resumed.want("")
}

// R52, R93: whose users one may not list, one may not watch; a cursor leads on only where it was
// given.
func TestBadWatches(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada, eve := s.signedUp(t), s.signedUp(t)
	for _, u := range []*identityv1.User{ada, eve} {
		s.grants.Allow(u.GetId(), "can_list_users", "organization:"+u.GetOrganizationId())
	}
	first := s.watch(t, ada, &identityv1.WatchUsersRequest{OrganizationId: ada.GetOrganizationId()})
	first.want(ada.GetId())
	for _, id := range []string{ada.GetOrganizationId(), uuid.NewString()} {
		s.watch(t, eve, &identityv1.WatchUsersRequest{OrganizationId: id}).refused(apierr.NotFound, "ORGANIZATION_NOT_FOUND")
	}
	s.watch(t, eve, &identityv1.WatchUsersRequest{}).refused(apierr.PermissionDenied, "PERMISSION_DENIED")
	for name, text := range map[string]string{"of another organization": first.cursor, "made up": "AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "no cursor": "x"} {
		t.Run(name, func(t *testing.T) {
			s.watch(t, eve, &identityv1.WatchUsersRequest{OrganizationId: eve.GetOrganizationId(), Cursor: text}).
				refused(apierr.FailedPrecondition, "CURSOR_EXPIRED")
		})
	}
}
