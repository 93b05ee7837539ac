// Package verify tries every cell of the mesh definition against the running sidecars: who may call what, with the caller's own
// certificate at the callee's public port, and again through the caller's own sidecar.
//
// Calls carry a message that cannot be parsed, so none that is let through can change anything (package rawcall), and a forged caller
// header. A service judges that header before the message of a stream: one that saw it would refuse, and no cell would pass. It reads
// the message of a unary call first and so never gets to it. That the header is replaced for these too follows from the config
// entries, which must be the definition's word for word.
//
// Only the `mesh verify` command imports it.
package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gatehouse/gatehouse/internal/mesh"
)

const (
	parallel = 8
	patience = 5 * time.Second // for one answer
)

// probe is one question and the answer that the definition promises.
type probe struct {
	Caller string // mesh name, or what kind of stranger asks
	Callee string // mesh name
	Path   string // gRPC method; empty for a connection
	Way    Way
	Want   Verdict

	Instance string // of the callee, or of the caller where its own sidecar is asked

	needs    []string      // instances without which there is no answer, by their names
	patience time.Duration // for the answer; the usual when 0

	ask func(ctx context.Context) (Verdict, string)
}

// Way is how the callee was approached.
type Way string

// The ways to a callee.
const (
	Public   Way = "public port"      // of the callee's sidecar, with the caller's own certificate
	Sidecar  Way = "caller's sidecar" // the caller's real upstream listener
	Stranger Way = "no mesh certificate"
	Template Way = "template of a job" // what Nomad's templates give to a job of somebody else
	Agent    Way = "Consul agent"      // what the agent gives of a service to somebody who may have nothing of it
)

// Verdict is what happened to a question.
type Verdict string

// The verdicts. Broken is neither: no answer, or one that proves nothing. Unasked says that there was
// no question: it was not tried, and nothing is wrong.
const (
	Passed  Verdict = "passed"
	Refused Verdict = "refused"
	Broken  Verdict = "broken"
	Unasked Verdict = "not asked"
)

// Run asks every question. An error means that they could not be asked; a wrong answer is in the
// report, and so is what could not be tried.
func Run(ctx context.Context, where Surroundings, def *mesh.Definition) (report *Report, err error) {
	g, release, err := where.survey(ctx, def)
	defer func() { err = errors.Join(err, release()) }()
	if err != nil {
		return nil, err
	}
	probes, err := (&matrix{ground: g, def: def}).probes()
	if err != nil {
		return nil, err
	}
	report = &Report{Wrong: []string{}}
	if report.Results, err = askAll(ctx, probes); err != nil {
		return nil, err
	}
	listening, versions, err := where.look(ctx, def, g)
	if err != nil {
		return nil, err
	}
	ended, untried, err := where.meanwhile(ctx, def, g)
	if err != nil {
		return nil, err
	}
	report.Listening, report.Allocations, report.Untried = listening, g.looked, append(append([]string{}, g.untried...), untried...)
	report.without(g, ended)
	if report.Warnings, err = below(versions); err != nil {
		return nil, err
	}
	if report.Wrong, err = entries(ctx, g.consul, where.entries(def), g.roots.mesh.Prefix); err != nil {
		return nil, err
	}
	report.conclude(def)
	return report, nil
}

func askAll(ctx context.Context, probes []probe) ([]Result, error) {
	results := make([]Result, len(probes))
	var group errgroup.Group
	group.SetLimit(parallel)
	var mu sync.Mutex
	for i, p := range probes {
		group.Go(func() error {
			limit, cancel := context.WithTimeout(ctx, cmp.Or(p.patience, patience))
			defer cancel()
			got, answer := p.ask(limit)
			mu.Lock()
			defer mu.Unlock()
			results[i] = Result{
				Caller: p.Caller, Callee: p.Callee, Instance: p.Instance, Path: p.Path, Way: p.Way, Want: p.Want, Got: got, Answer: answer, needs: p.needs,
			}
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("verify the mesh: %w", err)
	}
	return results, nil
}
