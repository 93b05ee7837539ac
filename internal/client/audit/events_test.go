package audit

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/client/clienttest"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/outbox"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	auditv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// audit is an Audit under the test's control.
type audit struct {
	auditv1.UnimplementedIngestServiceServer
	answer func(ctx context.Context, r *auditv1.IngestRequest) (*auditv1.IngestResponse, error) // nil acknowledges

	mu      sync.Mutex
	streams int
	batches []*auditv1.IngestRequest
}

func (a *audit) Ingest(s grpc.BidiStreamingServer[auditv1.IngestRequest, auditv1.IngestResponse]) error {
	a.mu.Lock()
	a.streams++
	a.mu.Unlock()
	for {
		r, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		a.mu.Lock()
		a.batches = append(a.batches, r)
		a.mu.Unlock()
		answer := &auditv1.IngestResponse{Batch: r.GetBatch()}
		if a.answer != nil {
			if answer, err = a.answer(s.Context(), r); err != nil {
				return err
			}
		}
		if err := s.Send(answer); err != nil {
			return err
		}
	}
}

func (a *audit) seen() (streams int, batches []*auditv1.IngestRequest) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.streams, slices.Clone(a.batches)
}

func feed(t *testing.T, a *audit) outbox.Deliver {
	t.Helper()
	conn := clienttest.Dial(t, "identity", Name, grpcserver.Registration{Desc: &auditv1.IngestService_ServiceDesc, Impl: a})
	return Events(Ingest(conn))
}

// messages makes n sealed events; value is the personal value of each.
func messages(t *testing.T, n int, value string) []outbox.Message {
	t.Helper()
	all := make([]outbox.Message, n)
	for i := range all {
		id := uuid.NewString()
		sealed, err := event.Event{
			ID: id, Time: time.Now(), Source: "identity", Action: "user.updated", Outcome: event.Success, Actor: event.Actor{Type: event.Service, ID: "identity"},
			Changes: []event.Change{{Field: "user.display_name", Value: []byte(value), Personal: true}},
		}.Seal(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		all[i] = outbox.Message{ID: id, Topic: Topic, Payload: event.MarshalSealed(sealed)}
	}
	return all
}

// One stream carries all deliveries, in order, in batches that fit a message; what was sealed
// arrives unchanged.
func TestEvents(t *testing.T) {
	a := &audit{}
	deliver := feed(t, a)
	var sent []outbox.Message
	for _, n := range []int{1, 500, 251} {
		batch := messages(t, n, `"Anna"`)
		sent = append(sent, batch...)
		if poison, err := deliver(t.Context(), batch); err != nil || len(poison) > 0 {
			t.Fatalf("poison %v, %v", poison, err)
		}
	}
	streams, batches := a.seen()
	if streams != 1 || len(batches) != 5 {
		t.Errorf("%d streams with %d batches, want 1 with 5", streams, len(batches))
	}
	i := 0
	for n, b := range batches {
		if b.GetBatch() != uint64(n+1) || len(b.GetEvents()) > maxEvents {
			t.Errorf("batch %d is number %d with %d events", n+1, b.GetBatch(), len(b.GetEvents()))
		}
		for _, e := range b.GetEvents() {
			sealed, err := event.UnmarshalSealed(sent[i].Payload)
			if err != nil {
				t.Fatal(err)
			}
			if string(e.GetCanonical()) != string(sealed.Canonical) || len(e.GetPersonal()) != 1 || e.GetPersonal()[0].GetValue() != `"Anna"` ||
				string(e.GetPersonal()[0].GetSalt()) != string(sealed.Personal[0].Salt) {
				t.Fatalf("event %d arrived as %v", i, e)
			}
			i++
		}
	}
	if i != len(sent) {
		t.Errorf("%d events arrived of %d", i, len(sent))
	}
}

// Large events make smaller batches: a message may have 4 MiB.
func TestLargeEvents(t *testing.T) {
	a := &audit{}
	deliver := feed(t, a)
	batch := messages(t, 250, `"`+strings.Repeat("x", 8000)+`"`)
	if _, err := deliver(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	_, batches := a.seen()
	for _, b := range batches {
		if proto.Size(b) > maxBytes {
			t.Errorf("a batch of %d events has %d bytes", len(b.GetEvents()), proto.Size(b))
		}
	}
	if len(batches) != 3 {
		t.Errorf("2 MB went in %d batches, want 3", len(batches))
	}
}

// What Audit rejects, and what is not an event, is poison; the others have arrived.
func TestRejectedEvents(t *testing.T) {
	a := &audit{answer: func(_ context.Context, r *auditv1.IngestRequest) (*auditv1.IngestResponse, error) {
		return &auditv1.IngestResponse{Batch: r.GetBatch(), Rejected: []*auditv1.Rejection{{Index: 1, Reason: "FOREIGN_SOURCE", Message: "not yours"}}}, nil
	}}
	batch := messages(t, 3, `"x"`)
	batch[0].Payload = []byte("nonsense")
	poison, err := feed(t, a)(t.Context(), batch)
	if err != nil || len(poison) != 2 || poison[0].ID != batch[0].ID || poison[1].ID != batch[2].ID || poison[1].Reason != "FOREIGN_SOURCE: not yours" {
		t.Errorf("poison %+v, %v", poison, err)
	}
	if poison, err := feed(t, &audit{})(t.Context(), batch[:1]); err != nil || len(poison) != 1 {
		t.Errorf("nothing but poison: %+v, %v", poison, err)
	}
}

// Acknowledgements that make no sense are errors: nobody knows what is stored.
func TestWrongAcknowledgements(t *testing.T) {
	for name, answer := range map[string]*auditv1.IngestResponse{
		"another batch":    {Batch: 7},
		"an unknown event": {Batch: 1, Rejected: []*auditv1.Rejection{{Index: 3}}},
		"a negative event": {Batch: 1, Rejected: []*auditv1.Rejection{{Index: -1}}},
	} {
		t.Run(name, func(t *testing.T) {
			a := &audit{answer: func(context.Context, *auditv1.IngestRequest) (*auditv1.IngestResponse, error) { return answer, nil }}
			if poison, err := feed(t, a)(t.Context(), messages(t, 3, `"x"`)); err == nil || len(poison) > 0 {
				t.Errorf("poison %+v, %v", poison, err)
			}
		})
	}
}

// A stream that ended while nobody looked is replaced within the same delivery; one that ends at
// once is an error.
func TestEndedStreams(t *testing.T) {
	ends := 0
	a := &audit{}
	a.answer = func(_ context.Context, r *auditv1.IngestRequest) (*auditv1.IngestResponse, error) {
		if ends > 0 {
			ends--
			return nil, apierr.New(apierr.Unavailable, "SHUTTING_DOWN", "stopping")
		}
		return &auditv1.IngestResponse{Batch: r.GetBatch()}, nil
	}
	deliver := feed(t, a)
	for i, c := range []struct {
		ends    int
		ok      bool
		streams int
	}{{0, true, 1}, {1, true, 2}, {2, false, 3}, {0, true, 4}, {0, true, 4}} {
		ends = c.ends
		_, err := deliver(t.Context(), messages(t, 2, `"x"`))
		if streams, _ := a.seen(); (err == nil) != c.ok || streams != c.streams {
			t.Errorf("delivery %d: %v with %d streams, want ok=%v with %d", i, err, streams, c.ok, c.streams)
		}
	}
}

// What Audit refuses as a whole is marked, so that the relay looks for the message that it is
// about.
func TestRefusedBatch(t *testing.T) {
	a := &audit{answer: func(context.Context, *auditv1.IngestRequest) (*auditv1.IngestResponse, error) {
		return nil, apierr.New(apierr.InvalidArgument, "INVALID_ARGUMENT", "too long")
	}}
	deliver := feed(t, a)
	for range 2 {
		if _, err := deliver(t.Context(), messages(t, 2, `"x"`)); !errors.Is(err, outbox.ErrRefused) {
			t.Errorf("the error is %v", err)
		}
	}
	if streams, _ := a.seen(); streams != 2 {
		t.Errorf("%d streams for two refused batches", streams)
	}
}

// An Audit that takes everything and says nothing is given up.
func TestSilentAudit(t *testing.T) {
	a := &audit{answer: func(ctx context.Context, _ *auditv1.IngestRequest) (*auditv1.IngestResponse, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	conn := clienttest.Dial(t, "identity", Name, grpcserver.Registration{Desc: &auditv1.IngestService_ServiceDesc, Impl: a})
	f := &feeder{audit: Ingest(conn), patience: 50 * time.Millisecond}
	if _, err := f.deliver(t.Context(), messages(t, 2, `"x"`)); err == nil || !strings.Contains(err.Error(), "acknowledged nothing") {
		t.Errorf("the error is %v", err)
	}
	if f.stream != nil {
		t.Error("the silent stream is kept")
	}
}

// The end of the relay ends a delivery wherever it waits.
func TestDeliveryEndsWithTheRelay(t *testing.T) {
	entered := make(chan struct{})
	a := &audit{answer: func(ctx context.Context, _ *auditv1.IngestRequest) (*auditv1.IngestResponse, error) {
		close(entered)
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	deliver := feed(t, a)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	batch := messages(t, 2, `"x"`)
	go func() {
		_, err := deliver(ctx, batch)
		done <- err
	}()
	clienttest.Within(t, entered)
	cancel()
	if err := clienttest.Within(t, done); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
}

// At most a few batches wait for their acknowledgement: that is how Audit holds a sender up.
func TestWindow(t *testing.T) {
	waiting := make(chan struct{}, 100)
	a := &windowed{waiting: waiting, release: make(chan struct{})}
	conn := clienttest.Dial(t, "identity", Name, grpcserver.Registration{Desc: &auditv1.IngestService_ServiceDesc, Impl: a})
	deliver := Events(Ingest(conn))
	batch := messages(t, maxEvents*(maxUnacked+3), `"x"`)
	done := make(chan error, 1)
	go func() {
		_, err := deliver(t.Context(), batch)
		done <- err
	}()
	for range maxUnacked {
		clienttest.Within(t, waiting)
	}
	select {
	case <-waiting:
		t.Errorf("more than %d batches are sent without an acknowledgement", maxUnacked)
	case <-time.After(100 * time.Millisecond):
	}
	close(a.release)
	if err := clienttest.Within(t, done); err != nil {
		t.Error(err)
	}
}

// windowed reads everything that comes and acknowledges when it is told to.
type windowed struct {
	auditv1.UnimplementedIngestServiceServer
	waiting chan struct{}
	release chan struct{}
}

func (w *windowed) Ingest(s grpc.BidiStreamingServer[auditv1.IngestRequest, auditv1.IngestResponse]) error {
	read := make(chan uint64, 100)
	go func() {
		defer close(read)
		for {
			r, err := s.Recv()
			if err != nil {
				return
			}
			read <- r.GetBatch()
			w.waiting <- struct{}{}
		}
	}()
	select {
	case <-w.release:
	case <-s.Context().Done():
		return s.Context().Err()
	}
	for n := range read {
		if err := s.Send(&auditv1.IngestResponse{Batch: n}); err != nil {
			return fmt.Errorf("acknowledge: %w", err)
		}
	}
	return nil
}
