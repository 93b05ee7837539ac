package web

import (
	"context"
	"net/http"

	"google.golang.org/protobuf/proto"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

// Refusal is a response that refuses, as an error: to everything that runs around a handler it is a
// refusal like that of any other method, which log, metrics and trail name by its reason. The
// client gets the response all the same.
type Refusal struct {
	Response proto.Message
	Err      error // why: an *apierr.Error, perhaps within others (event.Attempt)
}

// Error is for logs.
func (r *Refusal) Error() string { return r.Err.Error() }

// Unwrap returns why.
func (r *Refusal) Unwrap() error { return r.Err }

type responderKey struct{}

func withResponder(ctx context.Context, w *responder) context.Context {
	return context.WithValue(ctx, responderKey{}, w)
}

// Refuse says why the handler refuses the request of the context, with the error that another
// method would return: it need not have a status of 4xx, a redirect with an error in it refuses
// too. It writes no response. What is not said is told by the status alone. Outside of an exchange
// it does nothing.
func Refuse(ctx context.Context, why error) {
	if w, ok := ctx.Value(responderKey{}).(*responder); ok {
		w.refusal = why
	}
}

// Fail ends the exchange of the context with an error, as another method would: nothing that the
// handler has written is sent, and the door says it in the form of the visitors. It is for what is
// no part of the protocol, such as a database that does not answer.
func Fail(ctx context.Context, err error) {
	if w, ok := ctx.Value(responderKey{}).(*responder); ok {
		w.failed = err
	}
}

// refused is why the response refuses; nil when it does not.
func (w *responder) refused() error {
	switch {
	case w.refusal != nil:
		return w.refusal
	case w.status >= http.StatusBadRequest:
		return apierr.ExchangeRefused(w.status)
	}
	return nil
}
