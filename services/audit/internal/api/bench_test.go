package api_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	auditv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1"
)

// BenchmarkTails is how long after its acknowledgement an event is with 1,000 tails of one
// instance, for all but one of 100 arrivals. Each tail gets each event; an event is stored when all
// have the one before. Bound: 250 ms.
func BenchmarkTails(b *testing.B) {
	const tails, connections, events = 1000, 10, 20
	s := beating(b, 5*time.Second)
	id := uuid.NewString()
	s.grants.Allow(id, "can_read_audit", "platform:gatehouse")
	ctx, cancel := context.WithCancel(b.Context())
	var reading sync.WaitGroup
	begun, arrived := make(chan struct{}, tails), make(chan time.Time, tails)
	for range connections {
		client := auditv1.NewAuditServiceClient(s.AsUser(s.Tokens.Claims(id)))
		for range tails / connections {
			reading.Go(func() {
				stream, err := client.TailEvents(ctx, &auditv1.TailEventsRequest{})
				for first := true; err == nil; first = false {
					var m *auditv1.TailEventsResponse
					m, err = stream.Recv()
					switch {
					case err == nil && m.GetEvent() != nil:
						arrived <- time.Now()
					case first:
						begun <- struct{}{}
					}
				}
				if ctx.Err() == nil {
					b.Error(err)
				}
			})
		}
	}
	for range tails {
		<-begun
	}
	var delays []time.Duration
	for b.Loop() {
		for range events {
			s.ingest(b, "identity", message(b))
			stored := time.Now()
			for range tails {
				delays = append(delays, (<-arrived).Sub(stored))
			}
		}
	}
	cancel()
	reading.Wait()
	slices.Sort(delays)
	b.ReportMetric(float64(delays[len(delays)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(delays[len(delays)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(250, "p99-ms-bound")
	b.ReportMetric(0, "ns/op")
}
