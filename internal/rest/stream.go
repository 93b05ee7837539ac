package rest

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/gatehouse/gatehouse/internal/apierr"
	httpserver "github.com/gatehouse/gatehouse/internal/server/http"
)

// slowest is how long a client may take to receive one message of a stream. One that does not read is cut: it would hold the stream
// open past its token's life.
const slowest = 10 * time.Second

// errStreamOver ends a stream that nobody reads further.
var errStreamOver = errors.New("the client takes no more of the stream")

// stream is one long-lived response: the writer that grpc-gateway writes messages to, and what
// ended it. It exists because grpc-gateway would write the error that ends a stream in a form of
// its own; end writes ours.
//
//	nothing written, error ──► problem document with its status
//	messages, error ─────────► a last record with the problem document
//	messages, token expired ─► the end of the body: the client comes back with a fresh token
type stream struct {
	http.ResponseWriter
	control *http.ResponseController
	now     func() time.Time
	format  format
	cancel  context.CancelCauseFunc
	single  bool // HEAD: the header is the response
	begun   bool
	failure error
}

type streamKey struct{}

func streamOf(ctx context.Context) *stream {
	s, _ := ctx.Value(streamKey{}).(*stream)
	return s
}

// serveStream forwards a long-lived route until the service, the client, the token or the drain ends it.
func (h *Handler) serveStream(w http.ResponseWriter, r, mapped *http.Request, route *found) {
	ctx, cancel := context.WithCancelCause(mapped.Context())
	defer cancel(nil)
	defer context.AfterFunc(h.draining, func() { cancel(stopping()) })()
	s := &stream{
		ResponseWriter: w, control: http.NewResponseController(w), now: h.now, cancel: cancel,
		format: accepted(r.Header["Accept"]), single: r.Method == http.MethodHead,
	}
	mapped.Header["Accept"] = []string{string(s.format)}
	_ = s.control.SetWriteDeadline(time.Time{}) // unsupported in handler tests without a connection
	route.serve(s, mapped.WithContext(context.WithValue(ctx, streamKey{}, s)), route.params)
	s.end(ctx, r)
}

func stopping() error {
	return apierr.ShuttingDown().WithRetryAfter(time.Second)
}

func (s *stream) failed() bool { return s.failure != nil }

// WriteHeader sends a header of grpc-gateway's, unless it is that of its own error.
func (s *stream) WriteHeader(status int) {
	if s.failure == nil {
		s.ResponseWriter.WriteHeader(status)
	}
}

// Write writes a part of a message. grpc-gateway's own error is swallowed. A client that is gone cancels the
// stream instead of being an error, which grpc-gateway would write to standard error.
func (s *stream) Write(b []byte) (int, error) {
	switch {
	case s.failed(), len(b) == 0:
		return len(b), nil
	case !s.begun:
		s.begun = true
		s.Header().Set("X-Accel-Buffering", "no") // a proxy that knows it hands messages on one by one
	}
	_ = s.control.SetWriteDeadline(s.now().Add(slowest))
	if _, err := s.ResponseWriter.Write(b); err != nil {
		s.cancel(errStreamOver)
	}
	return len(b), nil
}

// FlushError sends what was written. Between messages there is no deadline: over HTTP/2 it would end an idle stream.
func (s *stream) FlushError() error {
	if s.failed() {
		return nil
	}
	if err := s.control.Flush(); err != nil || s.single {
		s.cancel(errStreamOver)
	}
	_ = s.control.SetWriteDeadline(time.Time{})
	return nil
}

// failStream keeps the error that ends a stream for its end.
func failStream(ctx context.Context, err error) *status.Status {
	if s := streamOf(ctx); s != nil {
		s.failure = err
	}
	return status.New(codes.Unknown, "")
}

// end tells the client why the stream ended, if it should know and is there.
func (s *stream) end(ctx context.Context, r *http.Request) {
	if s.failure == nil {
		return
	}
	var (
		why   = answered(r, s.failure)
		cause *apierr.Error
	)
	if until, ok := ctx.Deadline(); ok && !s.now().Before(until) {
		<-ctx.Done() // the service may notice before our own timer does
	}
	if errors.As(context.Cause(ctx), &cause) { // our own reason, which the service saw as a cancellation
		why = cause
	}
	gone := errors.Is(context.Cause(ctx), errStreamOver) || r.Context().Err() != nil && cause == nil
	if gone {
		why = apierr.From(context.Canceled)
	}
	switch {
	case !s.begun: // to a client that is gone too: the log and the metrics need a status
		s.failure = nil
		Fail(s.ResponseWriter, r, why)
		return
	case gone, why.Is(apierr.TokenExpired()):
		return
	}
	note(r, why)
	_ = s.control.SetWriteDeadline(s.now().Add(slowest))
	_, _ = s.ResponseWriter.Write(s.format.failure(httpserver.ProblemDocument(r, why))) //nolint:gosec // JSON, not HTML; the client is gone when this is refused
	_ = s.control.Flush()
}

// streamOptions are what the mux needs for streams.
func streamOptions(options protojson.MarshalOptions) []runtime.ServeMuxOption {
	return []runtime.ServeMuxOption{
		runtime.WithMarshalerOption(string(ndjson), &streamMarshaler{JSONPb: &runtime.JSONPb{MarshalOptions: options}, format: ndjson}),
		runtime.WithMarshalerOption(string(sse), &streamMarshaler{JSONPb: &runtime.JSONPb{MarshalOptions: options}, format: sse}),
		runtime.WithStreamErrorHandler(failStream),
		runtime.WithDisableChunkedEncoding(), // net/http knows when; HTTP/2 has no such header
	}
}
