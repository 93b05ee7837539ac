package api_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/gatehouse/gatehouse/internal/auditlog"
	"github.com/gatehouse/gatehouse/internal/auditlog/auditlogtest"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	auditv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail/trailtest"
)

// wholeLog verifies the log as a client does that has pinned the key: what is found, one a line,
// and how many leaves are gone.
func wholeLog(t *testing.T, client auditv1.LogServiceClient) (found string, gone int64) {
	t.Helper()
	c, err := client.GetCheckpoint(t.Context(), &auditv1.GetCheckpointRequest{})
	check.NoError(t, err)
	keys := auditlogtest.Keys(t, c.GetVerifierKeys(), nil)
	now, err := keys.Open([]byte(c.GetCheckpoint()))
	check.NoError(t, err)
	stream, err := client.ReadLog(t.Context(), &auditv1.ReadLogRequest{})
	check.NoError(t, err)
	first, err := stream.Recv()
	check.NoError(t, err)
	signed := []auditlog.Checkpoint{now.Checkpoint}
	for _, note := range first.GetCheckpoints() {
		s, err := keys.Open([]byte(note))
		check.NoError(t, err)
		signed = append(signed, s.Checkpoint)
	}
	checking, err := auditlog.NewCheck(signed...)
	check.NoError(t, err)
	for m := first; !m.GetEnd(); {
		m, err = stream.Recv()
		check.NoError(t, err)
		if size := proto.Size(m); size > 1<<20 {
			t.Errorf("a message has %d bytes", size)
		}
		for _, l := range m.GetLeaves() {
			s := auditlog.Stored{Index: l.GetIndex(), Canonical: l.GetCanonical(), Leaf: auditlog.LeafHash(l.GetCanonical()), Removed: l.GetRemoved()}
			if len(l.GetHash()) > 0 {
				s.Leaf = auditlog.Hash(l.GetHash())
			}
			checking.Add(s)
		}
	}
	if m, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %v, %v", m, err)
	}
	r := checking.Finish()
	for _, f := range r.Findings {
		found += fmt.Sprintf("%d %s\n", f.Index, f.Text)
	}
	return found, r.Gone
}

// R69: what the database's superuser does to 1,100 events, four tiles of which are full, and what a
// client finds of it over the API. The last events were signed one by one.
func TestTheWholeLogOverTheAPI(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		tamper string
		want   []string
	}{
		"nothing":             {"select", nil},
		"an edit":             {`update audit.events set canonical = replace(encode(canonical, 'escape'), 'user', 'abus')::bytea where position = 10`, []string{"9 something"}},
		"an edit at the edge": {`update audit.events set canonical = replace(encode(canonical, 'escape'), 'user', 'abus')::bytea where position = 1102`, []string{"-1 somewhere from leaf 1101 to leaf 1101 "}},
		"a deletion":          {`delete from audit.events where position = 311`, []string{"310 its event is gone, and retention did not remove it"}},
		"deletions, the last": {`delete from audit.events where position > 1100`, []string{"1100 the log ends here"}},
		"at the edge":         {`delete from audit.events where position = 1101`, []string{"1100 it is missing"}},
		"a reorder": {`update audit.events e set canonical = o.canonical from audit.events o where (e.position, o.position) in ((21, 331), (331, 21))`,
			[]string{"20 event", "330 event"}},
		"an edit of the tree": {`update audit.tiles set hashes = overlay(hashes placing '\x0000'::bytea from 320) where level = 0 and index = 1`, []string{"265 event", "266 event", "-1 somewhere"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t)
			trailtest.Fill(t, s.store, 1100)
			for range 3 {
				s.grow(t)
				trailtest.Fill(t, s.store, 1)
			}
			s.grow(t)
			_, err := pgtest.Superuser(t, s.owner).Exec(t.Context(), c.tamper)
			check.NoError(t, err)
			found, gone := wholeLog(t, s.prover("platform:gatehouse"))
			lines := strings.Split(strings.TrimSuffix(found, "\n"), "\n")
			if len(c.want) == 0 && (found != "" || gone != 0) || len(c.want) > 0 && len(lines) != len(c.want) {
				t.Fatalf("%d are gone, found:\n%s", gone, found)
			}
			for i, want := range c.want {
				if !strings.HasPrefix(lines[i], want) {
					t.Errorf("found %q, want %q", lines[i], want)
				}
			}
		})
	}
}

// What retention removes leaves its hashes, and the rest is verified while it goes. A part is read
// from where another stream ended.
func TestReadLogOfWhatWasRemoved(t *testing.T) {
	t.Parallel()
	s := newService(t)
	old := func(e *event.Event) { e.Time = time.Now().AddDate(0, 0, -10) }
	trailtest.Fill(t, s.store, 700, old)
	trailtest.Fill(t, s.store, 10)
	s.grow(t)
	for _, sql := range []string{
		`update audit.retention set days = 7, since = now() - interval '7 days'`,
		`insert into audit.dropped_leaves (position, hash) select position, sha256('\x00'::bytea || canonical) from audit.events where position > 512`,
		`insert into audit.removed_events select (position - 1) / 256, bit_or(set_bit(0::bit(256), ((position - 1) % 256)::int, 1))
			from audit.events where position <= 700 and position not in (300, 302) group by 1`,
		`delete from audit.events where position <= 700 and position not in (300, 302)`,
	} {
		_, err := s.owner.Exec(t.Context(), sql)
		check.NoError(t, err)
	}
	client := s.prover("platform:gatehouse")
	if found, gone := wholeLog(t, client); found != "" || gone != 698 {
		t.Errorf("%d are gone, found:\n%s", gone, found)
	}
	_, err := s.owner.Exec(t.Context(), `delete from audit.events where position = 302`) // as old as what was removed
	check.NoError(t, err)
	if found, gone := wholeLog(t, client); !strings.HasPrefix(found, "301 its event is gone, and retention did not remove it") || strings.Count(found, "\n") != 1 || gone != 699 {
		t.Errorf("%d are gone, found:\n%s", gone, found)
	}
	stream, err := client.ReadLog(t.Context(), &auditv1.ReadLogRequest{Start: 698, Size: 702})
	check.NoError(t, err)
	var indexes []int64
	for {
		m, err := stream.Recv()
		check.NoError(t, err)
		for _, l := range m.GetLeaves() {
			indexes = append(indexes, l.GetIndex())
		}
		if m.GetEnd() {
			break
		}
	}
	if fmt.Sprint(indexes) != "[698 699 700 701]" {
		t.Errorf("the part has the leaves %v", indexes)
	}
}

func TestReadLogRefuses(t *testing.T) {
	t.Parallel()
	s := newService(t)
	read := func(client auditv1.LogServiceClient, start, size int64) error {
		stream, err := client.ReadLog(t.Context(), &auditv1.ReadLogRequest{Start: start, Size: size})
		check.NoError(t, err)
		_, err = stream.Recv()
		return err
	}
	platform := s.prover("platform:gatehouse")
	wantReason(t, read(platform, 0, 0), codes.Unavailable, "CHECKPOINT_NOT_YET")
	s.ingest(t, "identity", message(t), message(t))
	s.grow(t)
	wantReason(t, read(platform, 0, 3), codes.FailedPrecondition, "SIZE_NOT_YET")
	wantReason(t, read(platform, 2, 1), codes.InvalidArgument, "SIZES_REVERSED")
	grpctest.WantCode(t, read(platform, -1, 0), codes.InvalidArgument)
	grpctest.WantCode(t, read(s.prover("organization:11111111-2222-4333-8444-000000000007"), 0, 0), codes.PermissionDenied)
	grpctest.WantCode(t, read(auditv1.NewLogServiceClient(s.asAuditor()), 0, 0), codes.PermissionDenied)
}

// A client that does not read holds up nobody, and a batch of large events is cut.
func TestReadLogOfLargeEvents(t *testing.T) {
	t.Parallel()
	s := newService(t)
	trailtest.Fill(t, s.store, 300, func(e *event.Event) {
		e.Changes = []event.Change{{Field: "user.locale", Value: []byte(`"` + strings.Repeat("x", 60<<10) + `"`)}}
	})
	s.grow(t)
	client := s.prover("platform:gatehouse")
	for range 20 { // more than there are connections to the database
		_, err := client.ReadLog(t.Context(), &auditv1.ReadLogRequest{})
		check.NoError(t, err)
	}
	if found, gone := wholeLog(t, client); found != "" || gone != 0 {
		t.Errorf("%d are gone, found:\n%s", gone, found)
	}
}
