package request

import (
	"context"
	"sync"
)

// known is what a context knows of its request.
type known struct {
	id          string
	caller      *Caller
	client      Client
	consistency string
	written     *written
}

type knownKey struct{}

// of returns what a context knows; zero outside of a request.
func of(ctx context.Context) known {
	if k, ok := ctx.Value(knownKey{}).(*known); ok {
		return *k
	}
	return known{}
}

// with returns a context that knows k.
func with(ctx context.Context, k known) context.Context {
	return context.WithValue(ctx, knownKey{}, &k)
}

// Context is the context of a request whose server is still finding out about it. It holds all
// that the functions of this package read, so that a call has one context instead of one for each
// value. The server says each value before anybody else can read it: not in handlers, nor once a
// goroutine has the context.
type Context struct {
	context.Context

	known   known
	caller  Caller
	written written
}

// Begin makes c the context of a request of which nothing is known, below ctx.
func (c *Context) Begin(ctx context.Context) {
	c.Context = ctx
	c.known.written = &c.written
}

// Value returns what the context knows of the request, or what its parent knows.
func (c *Context) Value(key any) any {
	if key == (knownKey{}) {
		return &c.known
	}
	return c.Context.Value(key)
}

// SetID says the id of the request.
func (c *Context) SetID(id string) { c.known.id = id }

// SetCaller says who is calling.
func (c *Context) SetCaller(who Caller) {
	c.caller = who
	c.known.caller = &c.caller
}

// SetSubject says whose token the call has.
func (c *Context) SetSubject(s *Subject) {
	who := c.caller
	who.Subject = s
	c.SetCaller(who)
}

// SetClient says where the request came from.
func (c *Context) SetClient(client Client) { c.known.client = client }

// SetConsistency says the request's token.
func (c *Context) SetConsistency(token string) { c.known.consistency = token }

// Written returns the token of what the request wrote, as Wrote said it; "" if it wrote nothing.
func (c *Context) Written() string { return c.written.get() }

// written is the token of what a request wrote.
type written struct {
	mu    sync.Mutex
	token string
}

func (w *written) get() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.token
}

func (w *written) set(token string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.token = token
}
