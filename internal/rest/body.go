package rest

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

// readBody reads and checks the body of a request and returns it for the mapping; nil when the route takes none. The chain has
// bounded its size.
func (s *shape) readBody(r *http.Request) ([]byte, error) {
	// What the header gives away is refused before the body is read, and asked for with 100
	// Continue. Chunks alone do not say whether there is a body: proxies put them around none. Who
	// expects a response to the header has one (RFC 9110, section 10.1.1).
	if r.ContentLength > 0 || r.ContentLength < 0 && r.Header.Get("Expect") != "" {
		if err := checkContent(r); err != nil {
			return nil, err
		}
	}
	body, err := readAll(r)
	if err != nil {
		return nil, err
	}
	if len(body) == 0 && s.body == nil {
		return nil, nil
	}
	if err := checkContent(r); err != nil {
		return nil, err
	}
	switch {
	case len(body) == 0:
		return nil, apierr.BodyRequired().WithField("", "body.required", "must be a JSON object")
	case s.body == nil: // a POST without fields: {} says the same as nothing
		if !bytes.Equal(bytes.Join(bytes.Fields(body), nil), []byte("{}")) {
			return nil, apierr.BodyNotAllowed().WithField("", "body.empty", "must be empty or {}")
		}
		return nil, nil
	}
	if err := checkStructure(body, s.body); err != nil {
		return nil, err
	}
	return body, nil // whether it decodes, the mapping finds out
}

// received is a body that was read, as the mapping reads it again.
type received struct {
	*bytes.Reader
	text []byte
}

func receivedAs(text []byte) *received { return &received{Reader: bytes.NewReader(text), text: text} }

// Close is part of io.ReadCloser.
func (*received) Close() error { return nil }

// checkContent refuses a body where there must be none, or of another kind.
func checkContent(r *http.Request) error {
	if r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodDelete {
		return apierr.BodyNotAllowed().WithField("", "body.empty", "must be empty")
	}
	return jsonContent(r.Header)
}

// jsonContent refuses a body that does not say that it is JSON: a form or text/plain is what a foreign web page can send without
// asking (R25).
func jsonContent(h http.Header) error {
	if compressed(h) {
		return unsupported("Content-Encoding", "must be absent: compressed bodies are not read")
	}
	values := h.Values("Content-Type")
	if len(values) != 1 {
		return unsupported("Content-Type", "must be sent once, as application/json")
	}
	kind, params, err := mime.ParseMediaType(values[0])
	charset, hasCharset := params["charset"]
	utf8 := !hasCharset || strings.EqualFold(charset, "utf-8") || strings.EqualFold(charset, "utf8") // the second is not a registered name, but common
	if err != nil || kind != "application/json" || !utf8 {
		return unsupported("Content-Type", "must be application/json in UTF-8")
	}
	return nil
}

func compressed(h http.Header) bool {
	encoding := h.Get("Content-Encoding")
	return encoding != "" && !strings.EqualFold(encoding, "identity")
}

func unsupported(header, description string) error {
	return apierr.UnsupportedMediaType().
		WithField(header, "media_type", description)
}

// readAll reads the body into memory. What cannot be read is the client's doing: too much, too slow, or broken framing.
func readAll(r *http.Request) ([]byte, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	var body bytes.Buffer
	if r.ContentLength > 0 {
		body.Grow(int(min(r.ContentLength, 64<<10)) + bytes.MinRead)
	}
	if _, err := io.Copy(&body, r.Body); err != nil {
		return nil, unread(err)
	}
	return body.Bytes(), nil
}

// unread is the refusal of a body that could not be read.
func unread(err error) *Closing {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return TooLarge(tooLarge.Limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &Closing{apierr.BodyTimeout().Because(err)}
	default:
		return &Closing{apierr.MalformedBody().
			WithField("", "body.framing", "must be complete (RFC 9112, section 6)").Because(err)}
	}
}

// errNil keeps a nil *apierr.Error from becoming a non-nil error.
func errNil(err *apierr.Error) error {
	if err == nil {
		return nil
	}
	return err
}
