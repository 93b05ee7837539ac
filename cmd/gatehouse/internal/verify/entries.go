package verify

import (
	"context"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/drift"
	"github.com/gatehouse/gatehouse/internal/request"
)

// entries compares what Consul holds with what it should. That every callee's entry carries the
// extension that replaces the caller header, word for word, is part of it: most probes cannot see
// whether it works (package comment).
func entries(ctx context.Context, consul *api.Client, e expected, prefix request.ServicePrefix) ([]string, error) {
	held, err := drift.Held(ctx, consul)
	if err != nil {
		return nil, err
	}
	all, err := drift.Compare(e.want, held, prefix, e.owns)
	if err != nil {
		return nil, err
	}
	wrong := []string{}
	for _, d := range all {
		wrong = append(wrong, d.Sentence(e.mend))
	}
	return wrong, nil
}
