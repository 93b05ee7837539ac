package grpcserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"

	"github.com/gatehouse/gatehouse/internal/client"
	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/ratelimit"
	"github.com/gatehouse/gatehouse/internal/rest"
	"github.com/gatehouse/gatehouse/internal/token"
)

// Limits of a service's own door. The edge has options for its own; these are its defaults.
const (
	maxBody          = 1 << 20 // bytes of a request's body
	guessesPerSecond = 20      // requests that take credentials without a token, by route and peer
	guessesAtOnce    = 60
)

// Door is REST at a service itself: the routes of its own contract, as the edge has them, in front
// of its own server. Every call passes all interceptors, with the program itself as the caller.
type Door struct {
	http.Handler

	server *Server
	rest   *REST
	inside *inside
	close  func() error
}

// NewDoor makes the door of the server. It starts nothing but what a gRPC connection has: Close
// ends that. newID makes the ids of requests.
func (s *Server) NewDoor(newID func() string) (*Door, error) {
	p, l := s.made, listenInside()
	conn, err := client.Within(l.dial, client.Options{Tracer: p.Tracer, Propagator: p.Propagator})
	if err != nil {
		return nil, err
	}
	d := &Door{server: s, inside: l, close: sync.OnceValue(func() error {
		_ = l.Close() // cannot fail
		return conn.Close()
	})}
	if d.rest, err = NewREST(p.methods(), nil, p.Now, registers(p, conn)...); err != nil {
		_ = d.Close()
		return nil, err
	}
	d.Handler = d.chain(newID)
	return d, nil
}

// chain is what happens to a request before its call. Nobody but local processes comes here, so
// there is no policy but one: guessing passwords is slow.
func (d *Door) chain(newID func() string) http.Handler {
	p := d.server.made
	guesses := ratelimit.New(ratelimit.Rate{PerSecond: guessesPerSecond, Burst: guessesAtOnce}, p.Now())
	return rest.Chain(d.rest.Handler,
		d.rest.Recognize(),     // before whatever may answer
		visited(p, newID),      // names the request, tells of it, and outlives a panic
		Framing(),              // before anything may answer
		rest.SecurityHeaders(), // likewise
		d.rest.Checks(),        // the shape of the request, as at every door
		slowly(p, guesses),     // needs the route
		rest.LimitBody(maxBody),
		rest.Authenticate(p.Verifier, func(context.Context, token.Claims) {}), // before the body is read; the server verifies it again
	)
}

// Serve answers the door's calls until the server stops or the door is closed, then returns nil.
func (d *Door) Serve() error {
	if err := d.server.Serve(d.inside); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// Drain ends all streams, and each further one at once.
func (d *Door) Drain() { d.rest.Handler.Drain() }

// Close ends what is still running.
func (d *Door) Close() error { return d.close() }

// methods are those of the program's own contract.
func (p Params) methods() []*contract.Method {
	var own []*contract.Method
	for _, m := range p.Contract.Methods() {
		if m.Program == p.Program {
			own = append(own, m)
		}
	}
	return own
}

// CheckREST refuses a registration whose service has routes that no door could answer. Web
// exchanges need no generated handler.
func CheckREST(c *contract.Contract, registrations []Registration) error {
	for _, r := range registrations {
		for _, name := range methodsOf(r.Desc) {
			if m, ok := c.Method(name); ok && m.Route != nil && !m.Exchange && r.REST == nil {
				return fmt.Errorf("%s has a route and %s no REST handler: add REST: Register…Handler of its package to the registration", name, r.Desc.ServiceName)
			}
		}
	}
	return nil
}

func registers(p Params, conn *grpc.ClientConn) []rest.Register {
	all := []rest.Register{rest.Exchanges(p.methods(), conn)}
	for _, r := range p.Registrations {
		if r.REST != nil {
			all = append(all, func(ctx context.Context, mux *runtime.ServeMux) error { return r.REST(ctx, mux, conn) })
		}
	}
	return all
}
