package grpcserver

import (
	"context"
	"fmt"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/request"
)

// callingService reads who calls from the one header that the receiving sidecar sets. None or
// several values are refused: the call did not come through the mesh, or somebody tried to add to
// what the sidecar said. So is an id of another mesh.
func callingService(p Params) middleware {
	return middleware{around: func(ctx context.Context, c *rpc, next func(context.Context) error) error {
		if c.infra {
			return next(ctx)
		}
		if c.inside = fromInside(ctx); c.inside { // whatever the headers say
			c.service = p.Program
			c.SetCaller(p.itself())
			believeClient(p, c)
			return next(ctx)
		}
		who, err := peerOf(p.Mesh, c.header[request.CallerHeader])
		if err != nil {
			return apierr.CallerUnknown().Because(err)
		}
		c.service = who.Service
		c.SetCaller(who)
		believeClient(p, c)
		return next(ctx)
	}}
}

// believeClient reads where the request came from, and in which language it wants to be answered.
// The edge is believed, which saw it, and so is the program's own door. A program that calls for
// itself hands on what it was told. Any other program cannot say where a person is: what it says is
// dropped.
func believeClient(p Params, c *rpc) {
	if c.inside || p.Callers.IsEdge(c.service) || c.policy != nil && c.policy.Has(contract.Service) {
		c.SetClient(request.ParseClient(
			c.header[request.ClientAddressHeader], c.header[request.ClientAgentHeader], c.header[request.ClientLanguageHeader]))
	}
}

func peerOf(mesh request.Mesh, values []string) (request.Caller, error) {
	if len(values) != 1 {
		return request.Caller{}, fmt.Errorf("%d values of %s instead of one", len(values), request.CallerHeader)
	}
	name, err := mesh.Program(values[0])
	if err != nil {
		return request.Caller{}, err
	}
	return request.Caller{Service: name, SPIFFE: values[0]}, nil
}
