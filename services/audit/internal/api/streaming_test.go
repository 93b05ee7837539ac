package api_test

import (
	"strconv"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	"github.com/gatehouse/gatehouse/internal/testkit/streamtest"
	auditv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1"
)

// streaming is Audit over a socket, and its log.
func streaming(t *testing.T) (service, *streamtest.Log) {
	log := &streamtest.Log{}
	return newService(t, func(c *grpctest.Config) { c.TCP, c.Log = true, log }), log
}

// A tail that is broken off goes on from its last cursor. It ends when an older state of the
// database was restored: positions will mean other events.
func TestStreamingTailEvents(t *testing.T) {
	t.Parallel()
	streamtest.Run(t, func(t *testing.T) streamtest.Case {
		s, log := streaming(t)
		large := func(e *event.Event) {
			e.Changes = []event.Change{{Field: "user.locale", Value: []byte(`"` + strings.Repeat("x", 60<<10) + `"`)}}
		}
		return streamtest.Case{
			Server: s.Server, Log: log, Conn: s.asAuditor(), Method: auditv1.AuditService_TailEvents_FullMethodName,
			Request: func(int) proto.Message { return &auditv1.TailEventsRequest{} },
			Feed: func() string {
				m := message(t)
				s.ingest(t, "identity", m)
				return idOf(t, m)
			},
			Flood: func() {
				for range 10 {
					s.ingest(t, "identity", message(t, large))
				}
			},
			Keys: func(m proto.Message) []string {
				if e := m.(*auditv1.TailEventsResponse).GetEvent(); e != nil {
					return []string{e.GetId()}
				}
				return nil
			},
			Resume: func(last proto.Message) proto.Message {
				return &auditv1.TailEventsRequest{Cursor: last.(*auditv1.TailEventsResponse).GetCursor()}
			},
			Break: s.feed.CutAll, BrokenCode: codes.Unavailable, BrokenReason: "TOO_SLOW",
		}
	})
}

// A program that hands events over repeats what was not acknowledged: there is no cursor. Most
// events of a batch are rejected here, which makes acknowledgements long.
func TestStreamingIngest(t *testing.T) {
	t.Parallel()
	streamtest.Run(t, func(t *testing.T) streamtest.Case {
		s, log := streaming(t)
		skipped := 0
		return streamtest.Case{
			Server: s.Server, Log: log, Conn: s.As("identity"), Method: auditv1.IngestService_Ingest_FullMethodName,
			Request: func(n int) proto.Message {
				r := &auditv1.IngestRequest{Batch: uint64(n + skipped), Events: []*auditv1.SealedEvent{message(t)}}
				for range 400 {
					r.Events = append(r.Events, &auditv1.SealedEvent{Canonical: []byte("{}")})
				}
				return r
			},
			Keys: func(m proto.Message) []string {
				return []string{strconv.FormatUint(m.(*auditv1.IngestResponse).GetBatch(), 10)}
			},
			Break: func() { skipped++ }, BrokenCode: codes.InvalidArgument, BrokenReason: "BATCH_OUT_OF_ORDER",
		}
	})
}
