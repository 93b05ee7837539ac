package request_test

import (
	"context"
	"testing"

	"github.com/gatehouse/gatehouse/internal/request"
)

// What a server says of a request is read like what a context was given, and a context made of its
// own keeps what it does not change.
func TestContextOfAServer(t *testing.T) {
	type key struct{}
	ctx := &request.Context{}
	ctx.Begin(context.WithValue(t.Context(), key{}, "parent"))
	if _, ok := request.CallerFrom(ctx); ok || request.ID(ctx) != "" || request.Consistency(ctx) != "" || request.ClientOf(ctx) != (request.Client{}) {
		t.Error("a context knows something before it is told")
	}
	subject := &request.Subject{UserID: "u"}
	ctx.SetID("req-1")
	ctx.SetCaller(request.Caller{Service: "gateway", SPIFFE: "spiffe://x"})
	ctx.SetSubject(subject)
	ctx.SetClient(request.Client{Address: "203.0.113.7"})
	ctx.SetConsistency("token")
	later := request.WithConsistency(ctx, "")
	for name, c := range map[string]struct {
		ctx   context.Context
		token string
	}{"its own": {ctx, "token"}, "one made of it": {later, ""}} {
		who, ok := request.CallerFrom(c.ctx)
		if want := (request.Caller{Service: "gateway", SPIFFE: "spiffe://x", Subject: subject}); !ok || who != want {
			t.Errorf("%s: the caller is %+v, %v", name, who, ok)
		}
		if request.ID(c.ctx) != "req-1" || request.ClientOf(c.ctx).Address != "203.0.113.7" || request.Consistency(c.ctx) != c.token {
			t.Errorf("%s: id %q, client %+v, token %q", name, request.ID(c.ctx), request.ClientOf(c.ctx), request.Consistency(c.ctx))
		}
		if c.ctx.Value(key{}) != "parent" {
			t.Errorf("%s: the parent's values are lost", name)
		}
	}
	request.Wrote(later, "written")
	if got := ctx.Written(); got != "written" {
		t.Errorf("what a later context wrote is %q", got)
	}
}
