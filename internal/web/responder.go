package web

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"

	webv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/web/v1"
)

// errTooLong is what a handler gets that writes more than MaxPage.
var errTooLong = errors.New("the response is too long for a web exchange")

// responder keeps what a handler answers.
type responder struct {
	header  http.Header
	sent    http.Header // as they were when the status was
	status  int         // 0 until it is said
	body    bytes.Buffer
	failed  error // what Fail was told, or a defect
	refusal error // what Refuse was told
}

// Header is part of http.ResponseWriter.
func (w *responder) Header() http.Header { return w.header }

// WriteHeader is part of http.ResponseWriter. There are no informational responses here.
func (w *responder) WriteHeader(status int) {
	if w.status != 0 || status < http.StatusOK {
		return
	}
	w.status, w.sent = status, w.header.Clone()
}

// Write is part of http.ResponseWriter.
func (w *responder) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.body.Len()+len(b) > MaxPage {
		w.failed = errTooLong
		return 0, w.failed
	}
	return w.body.Write(b)
}

// envelope is the response in the mesh. Headers that do not leave are not in it.
func (w *responder) envelope() (*webv1.Response, error) {
	w.WriteHeader(http.StatusOK)
	switch {
	case w.failed != nil:
		return nil, w.failed
	case w.status > 599:
		return nil, fmt.Errorf("%d is no status", w.status)
	}
	out := &webv1.Response{Status: uint32(w.status), Body: w.body.Bytes()} //nolint:gosec // bounded above
	for _, name := range slices.Sorted(maps.Keys(w.sent)) {
		if !Leaves(name) {
			continue
		}
		for _, value := range w.sent[name] {
			out.Headers = append(out.Headers, field(name, value))
		}
	}
	return out, nil
}
