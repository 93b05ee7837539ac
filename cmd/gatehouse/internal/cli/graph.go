package cli

import (
	"context"
	"fmt"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/explain"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/graph"
)

type graphCommand struct {
	targetFlags `embed:""`
	Format      string `enum:"mermaid,dot,svg" default:"mermaid" help:"mermaid (for Markdown), dot (for Graphviz) or svg (an image)."`
	Live        bool   `help:"Ask Consul, and mark what it denies, holds otherwise than the definition, or finds unhealthy."`
}

// Run draws the definition, and with --live what runs.
func (c *graphCommand) Run(console *Console) error {
	var w world
	var err error
	if c.Live {
		w, err = c.reach(console)
	} else {
		w.Definition, err = explained(c.Mesh)
	}
	if err != nil {
		return err
	}
	g := graph.Of(w.Definition.Definition)
	if c.Live {
		ctx, cancel := interruptible()
		defer cancel()
		running, err := w.running(ctx)
		if err != nil {
			return err
		}
		if err := g.Mark(w.Definition, running); err != nil {
			return err
		}
	}
	switch c.Format {
	case "dot":
		console.printf("%s", g.DOT())
	case "svg":
		console.printf("%s", g.SVG())
	default:
		console.printf("%s", g.Mermaid())
	}
	return nil
}

// running asks Consul for all that the picture marks.
func (w world) running(ctx context.Context) (graph.Running, error) {
	r := graph.Running{Prefix: w.Prefix, Rules: map[string]*explain.Live{}, Healthy: map[string]graph.Health{}}
	report, err := w.drifted(ctx)
	if err != nil {
		return r, err
	}
	r.Drift = report.Differences
	for _, name := range callees(w) {
		if r.Rules[name], err = w.live(ctx, name); err != nil {
			return r, err
		}
		found, _, err := w.consul.Health().Connect(w.Prefix.Service(name), "", false, (&api.QueryOptions{RequireConsistent: true}).WithContext(ctx))
		if err != nil {
			return r, w.told(fmt.Errorf("ask Consul for the health of %s: %w", name, err))
		}
		health := graph.Health{All: len(found)}
		for _, one := range found {
			if one.Checks.AggregatedStatus() == api.HealthPassing {
				health.Passing++
			}
		}
		r.Healthy[name] = health
	}
	return r, nil
}
