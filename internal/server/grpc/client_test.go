package grpcserver_test

import (
	"context"
	"testing"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
)

// R90: an event names the client's address as the edge saw it. A program that calls for itself
// hands it on; no program but the edge can set it for a person's call.
func TestWhoIsBelievedAboutTheClient(t *testing.T) {
	d := newDemo(t)
	s := start(t, d, grpctest.Config{})
	told := []string{request.ClientAddressHeader, "203.0.113.7", request.ClientAgentHeader, "curl/8.5.0", request.ClientLanguageHeader, "de"}
	seen := request.Client{Address: "203.0.113.7", Agent: "curl/8.5.0", Language: "de"}
	person := []string{"authorization", "Bearer " + s.Tokens.Sign(s.Tokens.Claims(me))}
	for name, c := range map[string]struct {
		caller, method string
		pairs          []string
		want           request.Client
	}{
		"the edge, of a person":             {"gateway", "ChangeFromAnywhere", append(told, person...), seen},
		"the edge, of who signs in":         {"gateway", "Login", told, seen},
		"a program, of a person":            {"worker", "ChangeFromAnywhere", append(told, person...), request.Client{}},
		"a program, for itself, handed on":  {"worker", "ChangeByService", told, seen},
		"the edge, that saw nothing":        {"gateway", "ChangeFromAnywhere", person, request.Client{}},
		"the edge, twice":                   {"gateway", "Login", append(told, told...), request.Client{}},
		"the edge, what is not an address":  {"gateway", "Login", []string{request.ClientAddressHeader, "a;drop table"}, request.Client{}},
		"a program, for itself, saw no one": {"worker", "ChangeByService", nil, request.Client{}},
	} {
		t.Run(name, func(t *testing.T) {
			var got request.Client
			var e event.Event
			d.unary = func(ctx context.Context, in *message) (*message, error) {
				got, e = request.ClientOf(ctx), event.FromContext(ctx)
				return in, nil
			}
			conn := s.Dial(append([]string{request.CallerHeader, grpctest.SPIFFE(c.caller)}, c.pairs...)...)
			if err := d.call(t.Context(), conn, c.method, "id", me); err != nil {
				t.Fatal(err)
			}
			if got != c.want || e.ClientAddress != c.want.Address || e.ClientAgent != c.want.Agent {
				t.Errorf("the request came from %+v and the event says %q, %q; want %+v", got, e.ClientAddress, e.ClientAgent, c.want)
			}
		})
	}
}

// A refusal names the address too, and is not told apart by it: an attacker with many addresses has
// one key.
func TestRefusalsNameTheClient(t *testing.T) {
	d, trail := newDemo(t), grpctest.NewTrail()
	s := start(t, d, grpctest.Config{Refusals: trail})
	for _, address := range []string{"203.0.113.7", "203.0.113.8"} {
		conn := s.Dial(request.CallerHeader, grpctest.SPIFFE("gateway"), "authorization", "Bearer "+s.Tokens.Sign(s.Tokens.Claims(me)),
			request.ClientAddressHeader, address)
		if err := d.call(t.Context(), conn, "GetUser", "id", other); err == nil {
			t.Fatal("a foreign user was read")
		}
	}
	got := trail.Refusals()
	if len(got) != 2 || got[0].Event.ClientAddress != "203.0.113.7" || got[1].Event.ClientAddress != "203.0.113.8" || got[0].Key != got[1].Key {
		t.Errorf("recorded %+v", got)
	}
}
