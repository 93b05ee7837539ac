package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/outbox"
	auditv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1"
)

// What one Ingest stream carries at once.
const (
	maxEvents   = 250              // of a batch; its contract allows 500
	maxBytes    = 1 << 20          // of a batch; a message may have 4 MiB
	maxUnacked  = 4                // batches: Audit answers at its own pace, and we wait for it
	ackTimeout  = 10 * time.Second // for each acknowledgement
	batchMargin = 64               // bytes around an event
)

// Events delivers the Topic. It keeps one Ingest stream open from one delivery to the next; after
// an error the stream is given up and the next delivery opens another. Events that arrive twice are
// stored once, so a lost acknowledgement costs nothing.
func Events(c auditv1.IngestServiceClient) outbox.Deliver {
	return (&feeder{audit: c, patience: ackTimeout}).deliver
}

// feeder owns the open stream.
type feeder struct {
	audit    auditv1.IngestServiceClient
	patience time.Duration // with Audit, for each acknowledgement

	mu     sync.Mutex
	stream *ingestStream
}

// ingestStream is one stream with the number of its last batch.
type ingestStream struct {
	grpc.BidiStreamingClient[auditv1.IngestRequest, auditv1.IngestResponse]
	cancel context.CancelFunc
	last   uint64
}

// part is one batch of the stream: what is sent, and the ids of the messages it came from.
type part struct {
	events []*auditv1.SealedEvent
	ids    []string
}

func (f *feeder) deliver(ctx context.Context, batch []outbox.Message) ([]outbox.Poison, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	parts, poison := split(batch)
	if len(parts) == 0 {
		return poison, nil
	}
	kept := f.stream != nil
	rejected, err := f.send(ctx, parts)
	if err != nil && kept && ctx.Err() == nil && !errors.Is(err, outbox.ErrRefused) {
		rejected, err = f.send(ctx, parts) // the stream ended while nobody looked, as when Audit was restarted
	}
	if err != nil {
		return poison, err
	}
	return append(poison, rejected...), nil
}

// send hands all parts over and waits until each is committed.
func (f *feeder) send(ctx context.Context, parts []part) (rejected []outbox.Poison, err error) {
	s, err := f.open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.cancel()
			f.stream = nil
		}
	}()
	// Both a silent Audit and the end of the relay cut the stream, wherever we wait on it.
	defer context.AfterFunc(ctx, s.cancel)()
	watchdog := time.AfterFunc(f.patience, s.cancel)
	defer watchdog.Stop()
	first := s.last + 1
	for acked := 0; acked < len(parts); {
		if sent := int(s.last + 1 - first); sent < len(parts) && sent-acked < maxUnacked { //nolint:gosec // at most len(parts)
			s.last++
			if err := s.Send(&auditv1.IngestRequest{Batch: s.last, Events: parts[sent].events}); err != nil {
				return nil, s.ended(ctx, err)
			}
			continue
		}
		response, err := s.Recv()
		if err != nil {
			return nil, s.ended(ctx, err)
		}
		if want := first + uint64(acked); response.GetBatch() != want {
			return nil, fmt.Errorf("ingest events: batch %d is acknowledged instead of %d", response.GetBatch(), want)
		}
		watchdog.Reset(f.patience)
		for _, r := range response.GetRejected() {
			if r.GetIndex() < 0 || int(r.GetIndex()) >= len(parts[acked].ids) {
				return nil, fmt.Errorf("ingest events: event %d of a batch of %d is rejected", r.GetIndex(), len(parts[acked].ids))
			}
			rejected = append(rejected, outbox.Poison{ID: parts[acked].ids[r.GetIndex()], Reason: r.GetReason() + ": " + r.GetMessage()})
		}
		acked++
	}
	return rejected, nil
}

// open returns the open stream or a new one. A stream outlives the delivery that opens it.
func (f *feeder) open(ctx context.Context) (*ingestStream, error) {
	if f.stream != nil {
		return f.stream, nil
	}
	lasting, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stream, err := f.audit.Ingest(lasting)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("ingest events: %w", err)
	}
	f.stream = &ingestStream{BidiStreamingClient: stream, cancel: cancel}
	return f.stream, nil
}

// ended says why the stream ended. Send only knows that it did (io.EOF); Recv knows the status,
// behind the acknowledgements that came before it.
func (s *ingestStream) ended(ctx context.Context, err error) error {
	for errors.Is(err, io.EOF) {
		if _, err = s.Recv(); err == nil {
			err = io.EOF
			continue
		}
		break
	}
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("ingest events: %w", ctx.Err())
	case status.Code(err) == codes.Canceled:
		return fmt.Errorf("ingest events: Audit acknowledged nothing in time: %w", err)
	case status.Code(err) == codes.InvalidArgument:
		return fmt.Errorf("ingest events: %w: %w", outbox.ErrRefused, err)
	}
	return fmt.Errorf("ingest events: %w", err)
}

// split makes batches of the messages; what is not an event is poison.
func split(batch []outbox.Message) (parts []part, poison []outbox.Poison) {
	size := 0
	for _, m := range batch {
		sealed, err := event.UnmarshalSealed(m.Payload)
		if err != nil {
			poison = append(poison, outbox.Poison{ID: m.ID, Reason: err.Error()})
			continue
		}
		weight := len(m.Payload) + batchMargin
		if len(parts) == 0 || len(parts[len(parts)-1].ids) == maxEvents || size+weight > maxBytes {
			parts, size = append(parts, part{}), 0
		}
		p := &parts[len(parts)-1]
		p.events, p.ids, size = append(p.events, sealedEvent(sealed)), append(p.ids, m.ID), size+weight
	}
	return parts, poison
}

func sealedEvent(s event.Sealed) *auditv1.SealedEvent {
	e := &auditv1.SealedEvent{Canonical: s.Canonical}
	for _, p := range s.Personal {
		e.Personal = append(e.Personal, &auditv1.PersonalValue{Field: p.Field, Salt: p.Salt, Value: p.Value})
	}
	return e
}
