package cli

import (
	"cmp"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/doctor"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/target"
	"github.com/gatehouse/gatehouse/internal/registry"
	"github.com/gatehouse/gatehouse/internal/request"
)

type doctorCommand struct {
	targetFlags `embed:""`
	Prefix      string `placeholder:"P" help:"What goes before the names of Gatehouse's services in Consul, such as gatehouse-; that of the mesh when empty."`
	AuthMethod  string `placeholder:"NAME" help:"Consul's auth method by which Nomad's workloads log in; nomad-workloads when empty."`
	Output      string `short:"o" enum:"text,json" default:"text" help:"text, or json for machines."`
}

// Run asks the site and exits with 1 when something is dangerous, with 3 when nothing that was asked
// is, and not everything could be asked.
func (c *doctorCommand) Run(console *Console) error {
	w, err := c.reach(console)
	if err != nil {
		return err
	}
	site, err := c.site(w)
	if err != nil {
		return err
	}
	ctx, cancel := interruptible()
	defer cancel()
	report, err := doctor.Examine(ctx, site)
	if err != nil {
		return err
	}
	err = console.answer(c.Output, report, func() error { return report.Text(console.Out) })
	switch {
	case err != nil:
		return err
	case report.Count(doctor.Danger) > 0:
		return exitError(1)
	case report.Count(doctor.Untried) > 0:
		return notTried
	}
	return nil
}

func (c *doctorCommand) site(w world) (*doctor.Site, error) {
	if c.Prefix != "" {
		w.Prefix = request.ServicePrefix(c.Prefix)
		if err := w.Prefix.Check(); err != nil {
			return nil, err
		}
	}
	if _, err := w.consul.Status().Leader(); err != nil {
		return nil, w.told(err)
	}
	site := &doctor.Site{
		Name: w.Name, Consul: w.consul, Definition: w.Definition.Definition, Entries: w.entries(), Prefix: w.Prefix, AuthMethod: cmp.Or(c.AuthMethod, registry.AuthMethod),
		Alone: w.Kind == target.Machine,
	}
	var err error
	if site.Anonymous, err = w.Anonymous(); err != nil || site.Alone {
		return site, err
	}
	if site.Nomad, err = w.Nomad(); site.Nomad == nil {
		site.NoNomad = "set NOMAD_ADDR, NOMAD_TOKEN and what goes with them"
	}
	return site, err
}
