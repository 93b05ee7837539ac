package rest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/protobuf/proto"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/request"
)

// StoredMessages is the header that says of a stream of lines how many are stored, however it
// ended.
const StoredMessages = "Gatehouse-Stored-Messages"

// lineTime is how long a client may take to send one line.
const lineTime = 10 * time.Second

// lineReader is the body of a route whose request is a stream: one JSON object a line (NDJSON).
// Each line is bounded and decoded by itself. It ends where a line is refused, so that the service
// tells what it has stored; failure then is the answer.
type lineReader struct {
	io.ReadCloser // what was sent, for grpc-gateway, which leaves the reading to Decode

	body    *bufio.Scanner
	source  *source
	control *http.ResponseController
	now     func() time.Time
	limit   int             // bytes of one line
	ctx     context.Context // of the request; a decoder is not told one
	number  int             // of the last line
	failure error
}

// source is the body as it comes. A scanner hands over what came of a line before the body broke
// off as if it were the last one.
type source struct {
	io.Reader
	ended bool  // all of it was read
	err   error // why there is no more, but for the end
}

// Read remembers why there is no more.
func (s *source) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	switch {
	case errors.Is(err, io.EOF):
		s.ended = true
	case err != nil:
		s.err = err
	}
	return n, err
}

type linesKey struct{}

func linesOf(ctx context.Context) *lineReader {
	l, _ := ctx.Value(linesKey{}).(*lineReader)
	return l
}

type lineLimitKey struct{}

// lineLimit is the bound of LimitBody for one line.
func lineLimit(ctx context.Context) int {
	limit, _ := ctx.Value(lineLimitKey{}).(int)
	return limit
}

// Lines reports whether the body of the route is a stream, one JSON object a line.
func (r *Route) Lines() bool { return r.Method != nil && r.Method.Descriptor.IsStreamingClient() }

// serveLines forwards a stream of lines until the client has sent all, or the service, the token or
// the drain ends it.
func (h *Handler) serveLines(w http.ResponseWriter, r, mapped *http.Request, route *found) {
	ctx, cancel := context.WithCancelCause(mapped.Context())
	defer cancel(nil)
	defer context.AfterFunc(h.draining, func() { cancel(stopping()) })()
	limit, from := lineLimit(r.Context()), &source{Reader: r.Body}
	l := &lineReader{
		ReadCloser: r.Body, ctx: ctx, source: from, body: bufio.NewScanner(from), control: http.NewResponseController(w), now: h.now, limit: limit,
	}
	l.body.Buffer(nil, limit+1)                                                               // with its end
	defer context.AfterFunc(ctx, func() { _ = l.control.SetReadDeadline(time.Unix(1, 0)) })() // nobody waits for the next line
	mapped.Body = l
	mapped.Header["Accept"] = []string{runtime.MIMEWildcard} // the answer is one JSON document, whatever the lines are
	_ = l.control.SetWriteDeadline(time.Time{})              // unsupported in handler tests without a connection
	route.serve(w, mapped.WithContext(context.WithValue(ctx, linesKey{}, l)), route.params)
	_ = l.control.SetWriteDeadline(h.now().Add(slowest))
	_ = l.control.Flush()
	if from.ended { // and a deadline that fires now would end the connection for its next request too
		return
	}
	_ = l.control.SetReadDeadline(h.now().Add(farewell))
	_, _ = io.CopyN(io.Discard, r.Body, farewellBytes) // a client that is cut while it writes may never read why
}

// What is read of a body that nobody wants any more.
const (
	farewell      = time.Second
	farewellBytes = 4 << 20
)

// Decode decodes the next line that is not empty. Wherever the lines end it says io.EOF: the
// service answers first.
func (l *lineReader) Decode(v any) error {
	m, ok := v.(proto.Message)
	if !ok {
		return fmt.Errorf("a line of %T", v)
	}
	for l.next() {
		line := bytes.TrimSpace(l.body.Bytes())
		if len(line) == 0 {
			continue
		}
		if err := decodeInto(m, line); err != nil {
			l.failure = l.named(err)
			break
		}
		return nil
	}
	return io.EOF
}

// next reads the next line, unless one was refused, or cannot be read.
func (l *lineReader) next() bool {
	if l.failure != nil {
		return false
	}
	more := l.scan()
	l.number++
	var refusal *Closing
	switch {
	case l.source.err != nil:
		refusal = unread(l.source.err)
	case errors.Is(l.body.Err(), bufio.ErrTooLong):
		refusal = TooLarge(int64(l.limit))
	default:
		return more
	}
	refusal.Err = l.named(refusal.Err)
	l.failure = refusal
	return false
}

// scan waits for the next line, for as long as it may take.
func (l *lineReader) scan() bool {
	_ = l.control.SetReadDeadline(l.now().Add(lineTime))
	more := l.ctx.Err() == nil && l.body.Scan()
	_ = l.control.SetReadDeadline(time.Time{})
	return more
}

// named says in which line something is wrong.
func (l *lineReader) named(err *apierr.Error) *apierr.Error {
	in := *err
	in.Message = fmt.Sprintf("line %d: %s", l.number, err.Message)
	return &in
}

// linesContent refuses a body that does not say that it is lines of JSON.
func linesContent(h http.Header) error {
	values := h.Values("Content-Type")
	if len(values) == 1 {
		if kind, _, err := mime.ParseMediaType(values[0]); err == nil && kind == string(ndjson) && h.Get("Content-Encoding") == "" {
			return nil
		}
	}
	return unsupported("Content-Type", "must be application/x-ndjson: one JSON object a line")
}

// fail answers for a stream of lines: why we ended it, or what is wrong with a line, comes before
// what the service says of that.
func (l *lineReader) fail(ctx context.Context, w http.ResponseWriter, r *http.Request, err error) {
	setStored(ctx, w.Header())
	if !l.source.ended && r.ProtoMajor == 1 {
		w.Header().Set("Connection", "close") // else net/http answers only when the client has sent the rest
	}
	var ours *apierr.Error
	switch {
	case errors.As(context.Cause(r.Context()), &ours):
		Fail(w, r, ours)
	case l.failure != nil:
		Fail(w, r, l.failure)
	default:
		Fail(w, r, answered(r, err))
	}
}

// setStored sends on how many messages of a stream are stored.
func setStored(ctx context.Context, h http.Header) {
	if md, ok := runtime.ServerMetadataFromContext(ctx); ok {
		if values := md.TrailerMD.Get(request.StoredMessagesHeader); len(values) > 0 {
			h.Set(StoredMessages, values[0])
		}
	}
}
