package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"google.golang.org/grpc"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/request"
	auditv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1/reason"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
)

// unacknowledged is how many batches of a stream are read ahead of their acknowledgement. Beyond it the stream is not read: the transport
// holds the sender up.
const unacknowledged = 4

// Ingest stores batches and acknowledges each after its commit, in order.
//
//	receive ──► Accept ──► Send ──► at most 4 wait ──► Wait ──► acknowledge
func (s *IngestService) Ingest(stream grpc.BidiStreamingServer[auditv1.IngestRequest, auditv1.IngestResponse]) error {
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	who, ok := request.CallerFrom(ctx)
	if !ok || who.Service == "" {
		return reason.CallerRequired()
	}
	r := receiver{source: who.Service, sender: s.writer.Sender(), waiting: make(chan inflight, unacknowledged)}
	go r.run(ctx, stream) // ends with the stream, which ends with this call
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case b, more := <-r.waiting:
			if !more {
				return r.err
			}
			if err := s.acknowledge(ctx, stream, who.Service, b); err != nil {
				return err
			}
		}
	}
}

// acknowledge waits for the commit of one batch and says so.
func (s *IngestService) acknowledge(
	ctx context.Context, stream grpc.BidiStreamingServer[auditv1.IngestRequest, auditv1.IngestResponse], source string, b inflight,
) error {
	verdicts, err := b.batch.Wait(ctx)
	if err != nil {
		return err
	}
	response := &auditv1.IngestResponse{Batch: b.number}
	for _, r := range b.inbound.Settle(verdicts) {
		s.log.WarnContext(ctx, "an event is rejected", slog.String("source", source), slog.String("reason", r.Reason), slog.String("why", r.Message))
		response.Rejected = append(response.Rejected, &auditv1.Rejection{Index: int32(r.Index), Reason: r.Reason, Message: r.Message}) //nolint:gosec // at most 500
	}
	return stream.Send(response)
}

// inflight is a batch that is not acknowledged yet.
type inflight struct {
	number  uint64
	inbound trail.Inbound
	batch   *trail.Batch
}

// receiver reads one stream.
type receiver struct {
	source  string
	sender  *trail.Sender
	waiting chan inflight
	err     error // why the stream is read no more; set before waiting is closed
}

func (r *receiver) run(ctx context.Context, stream grpc.BidiStreamingServer[auditv1.IngestRequest, auditv1.IngestResponse]) {
	defer close(r.waiting)
	for number := uint64(1); r.err == nil; number++ {
		r.err = r.next(ctx, stream, number)
	}
	if errors.Is(r.err, io.EOF) {
		r.err = nil // the sender is done; what waits is still acknowledged
	}
}

func (r *receiver) next(
	ctx context.Context, stream grpc.BidiStreamingServer[auditv1.IngestRequest, auditv1.IngestResponse], number uint64,
) (err error) {
	defer apierr.Recover(&err)
	request, err := stream.Recv()
	if err != nil {
		return err
	}
	if request.GetBatch() != number {
		return reason.BatchOutOfOrder().Saying(fmt.Sprintf("the batch is number %d and %d comes next: number the batches of a stream from 1", request.GetBatch(), number))
	}
	inbound := trail.Accept(r.source, sealedEvents(request.GetEvents()))
	batch, err := r.sender.Send(ctx, inbound.Entries)
	if err != nil {
		return err
	}
	select {
	case r.waiting <- inflight{number: number, inbound: inbound, batch: batch}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func sealedEvents(messages []*auditv1.SealedEvent) []event.Sealed {
	events := make([]event.Sealed, len(messages))
	for i, m := range messages {
		events[i].Canonical = m.GetCanonical()
		for _, p := range m.GetPersonal() {
			events[i].Personal = append(events[i].Personal, event.Personal{Field: p.GetField(), Salt: p.GetSalt(), Value: p.GetValue()})
		}
	}
	return events
}
