package api_test

import (
	"strconv"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/testkit/streamtest"
	auditv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail/trailtest"
)

// perMessage is how many events of 60 KiB a message has.
const perMessage = 9

// A read of the log is resumed behind the last leaf that was read. All that it tells is there as it
// begins, and much more than a connection takes from who does not read.
func TestStreamingReadLog(t *testing.T) {
	t.Parallel()
	large := trailtest.Entries(t, 400, func(e *event.Event) {
		e.Changes = []event.Change{{Field: "user.locale", Value: []byte(`"` + strings.Repeat("x", 60<<10) + `"`)}}
	})
	streamtest.Run(t, func(t *testing.T) streamtest.Case {
		s, log := streaming(t)
		trailtest.Put(t, s.store, large)
		s.grow(t)
		fed := -1
		return streamtest.Case{
			Server: s.Server, Log: log, Conn: s.asProver("platform:gatehouse"), Method: auditv1.LogService_ReadLog_FullMethodName,
			Request: func(int) proto.Message { return &auditv1.ReadLogRequest{} },
			Feed: func() string {
				fed++
				return strconv.Itoa(fed)
			},
			Flood: func() {},
			Keys: func(m proto.Message) (keys []string) {
				if leaves := m.(*auditv1.ReadLogResponse).GetLeaves(); len(leaves) > 0 {
					keys = append(keys, strconv.FormatInt(leaves[0].GetIndex()/perMessage, 10))
				}
				return keys
			},
			Resume: func(last proto.Message) proto.Message {
				leaves := last.(*auditv1.ReadLogResponse).GetLeaves()
				return &auditv1.ReadLogRequest{Start: leaves[len(leaves)-1].GetIndex() + 1}
			},
			Break: s.pool.Close, BrokenCode: codes.Internal, BrokenReason: "INTERNAL", // nobody else closes the pool of a program that serves
		}
	})
}
