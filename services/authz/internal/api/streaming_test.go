package api_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/cursor"
	"github.com/gatehouse/gatehouse/internal/rpcstatus"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	"github.com/gatehouse/gatehouse/internal/testkit/streamtest"
	authzv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1"
)

// Who follows changes goes on from the last cursor; without the database nothing can be said.
func TestStreamingWatchChanges(t *testing.T) {
	t.Parallel()
	streamtest.Run(t, func(t *testing.T) streamtest.Case {
		log := &streamtest.Log{}
		s := newService(t, func(c *grpctest.Config) { c.TCP, c.Log = true, log })
		return streamtest.Case{
			Server: s.Server, Log: log, Conn: s.As("audit"), Method: authzv1.AuthzService_WatchChanges_FullMethodName,
			Request: func(int) proto.Message { return &authzv1.WatchChangesRequest{} },
			Feed: func() string {
				_, err := s.program("identity").WriteRelationships(t.Context(), change("organization:"+uuid.NewString()+"#member@user:u"))
				check.NoError(t, err)
				return s.lastChanged(t)
			},
			Flood: func() { s.changeMuch(t, 450) }, // more at once would be told as everything
			Keys: func(m proto.Message) []string {
				var objects []string
				for _, c := range m.(*authzv1.WatchChangesResponse).GetChanges() {
					objects = append(objects, c.GetObject())
				}
				return objects
			},
			Resume: func(last proto.Message) proto.Message {
				return &authzv1.WatchChangesRequest{Cursor: last.(*authzv1.WatchChangesResponse).GetCursor()}
			},
			Break: s.instance.Pool.Close, BrokenCode: codes.Internal, BrokenReason: "INTERNAL",
		}
	})
}

func (s service) lastChanged(t *testing.T) (object string) {
	t.Helper()
	row := s.instance.Pool.QueryRow(t.Context(), `select split_part(writes[1], '#', 1) from authz.commands order by accept_time desc limit 1`)
	check.NoError(t, row.Scan(&object))
	return object
}

// changeMuch stores a command that has ended, of so many relationships, and waits until a watcher
// is told of it.
func (s service) changeMuch(t *testing.T, relationships int) *authzv1.WatchChangesResponse {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	watcher, err := s.program("identity").WatchChanges(ctx, &authzv1.WatchChangesRequest{})
	check.NoError(t, err)
	_, err = watcher.Recv()
	check.NoError(t, err)
	var writes []string
	for n := range relationships {
		writes = append(writes, fmt.Sprintf("group:%s-%d#member@user:%s", strings.Repeat("g", 240), n, uuid.NewString()))
	}
	id := uuid.NewString()
	_, err = s.instance.Pool.Exec(t.Context(), `
		insert into authz.commands (id, state, fingerprint, writes, deletes, event_id, event_key, event, claim, claim_until, accept_time)
		values ($1, 'accepted', 'x', $2, '{}', gen_random_uuid(), 'group:g', 'x', 0, now() + interval '1 hour', now())`, id, writes)
	check.NoError(t, err)
	_, err = s.instance.Pool.Exec(t.Context(), `update authz.commands set state = 'applied', end_time = now(), event = null where id = $1`, id)
	check.NoError(t, err)
	for {
		m, err := watcher.Recv()
		check.NoError(t, err)
		if m.GetAll() || len(m.GetChanges()) > 0 {
			return m
		}
	}
}

// What is told says whose questions it may decide; more than a message holds is everything.
func TestWatchChangesTellsReach(t *testing.T) {
	t.Parallel()
	s := newService(t)
	watcher, err := s.program("billing").WatchChanges(t.Context(), &authzv1.WatchChangesRequest{})
	check.NoError(t, err)
	begun, err := watcher.Recv()
	check.NoError(t, err)
	if begun.GetCursor() == "" || begun.GetAll() || len(begun.GetChanges()) > 0 {
		t.Errorf("the first message is %v", begun)
	}
	_, err = s.program("identity").WriteRelationships(t.Context(), change("organization:o#platform@platform:gatehouse", "organization:o#owner@user:u"))
	check.NoError(t, err)
	var told []string
	for len(told) == 0 {
		m, err := watcher.Recv()
		check.NoError(t, err)
		for _, c := range m.GetChanges() {
			told = append(told, fmt.Sprintf("%s %q %v", c.GetObject(), c.GetSubject(), c.GetFromTypes()))
		}
	}
	if want := `organization:o "user:u" [user]; organization:o "" [user]`; strings.Join(told, "; ") != want {
		t.Errorf("told %v, want %s", told, want)
	}
	if m := s.changeMuch(t, 1000); !m.GetAll() || len(m.GetChanges()) > 0 {
		t.Errorf("of 1,000 relationships %d are told, all: %t", len(m.GetChanges()), m.GetAll())
	}
	texts := cursor.NewTexts(s.instance.Store, time.Hour, time.Now)
	now := cursor.Cursor{Seen: cursor.Mark{Time: time.Now()}}
	other, err := texts.Seal(t.Context(), now, "changes", "another model")
	check.NoError(t, err)
	for name, c := range map[string]string{"foreign": "x", "of another model": other} {
		refused, err := s.program("billing").WatchChanges(t.Context(), &authzv1.WatchChangesRequest{Cursor: c})
		check.NoError(t, err)
		_, err = refused.Recv()
		if e := rpcstatus.ToError(status.Convert(err)); e == nil || e.Reason != "CURSOR_EXPIRED" || e.Kind != apierr.FailedPrecondition {
			t.Errorf("%s: %v", name, err)
		}
	}
}
