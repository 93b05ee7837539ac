package platform

import (
	"context"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/rawcall"
)

// awaitMesh waits until every program reaches every other one it calls: through its own sidecar, to the other's sidecar. The question is
// a method that nobody may call, so the other sidecar's refusal is the sign.
func (p *Platform) awaitMesh(ctx context.Context) error {
	begun := p.opts.Now()
	for _, program := range p.opts.Definition.Instances(p.opts.Scale) {
		for _, upstream := range program.Upstreams {
			if upstream.Protocol != "grpc" {
				continue // the migrations went through
			}
			what := fmt.Sprintf("the way from %s to %s", program.ID(), upstream.Name)
			err := p.await(ctx, nil, what, func(ctx context.Context) error {
				_, err := rawcall.Plain(ctx, p.address(upstream.Port), rawcall.Nobody)
				if status.Code(err) == codes.PermissionDenied {
					return nil
				}
				return fmt.Errorf("instead of a refusal came %s: %s", status.Code(err), status.Convert(err).Message())
			})
			if err != nil {
				return err
			}
		}
	}
	p.took(begun, "every way through the mesh is open")
	return nil
}
