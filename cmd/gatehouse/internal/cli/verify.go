package cli

import (
	"time"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/operator"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/target"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/verify"
)

// notTried is the exit code of a check in which nothing was wrong, and something could not be tried.
const notTried = exitError(3)

type verifyCommand struct {
	targetFlags `embed:""`
	Output      string `short:"o" enum:"text,json" default:"text" help:"text, or json for machines."`
}

// Run verifies the running mesh and exits with 1 when anything is not as the definition says, with 3
// when all that was tried is, and not everything was tried.
func (c *verifyCommand) Run(console *Console) error {
	w, err := c.reach(console)
	if err != nil {
		return err
	}
	where, err := w.surroundings(console.Now)
	if err != nil {
		return err
	}
	ctx, cancel := interruptible()
	defer cancel()
	report, err := verify.Run(ctx, where, w.Definition.Definition)
	if err != nil {
		return err
	}
	err = console.answer(c.Output, report, func() error { return report.Text(console.Out) })
	switch {
	case err != nil:
		return err
	case !report.OK():
		return exitError(1)
	case !report.Whole():
		return notTried
	}
	return nil
}

// surroundings are where the mesh is verified.
func (w world) surroundings(now func() time.Time) (verify.Surroundings, error) {
	if w.Kind == target.Machine {
		return verify.Machine{Dir: w.Dir, Record: w.Record}, nil
	}
	get := func(name string) string { return operator.Variable(w.Environ, name) }
	files, err := verify.ReadFiles(w.API(), get("CONSUL_CACERT"), get("CONSUL_CLIENT_CERT"), get("CONSUL_CLIENT_KEY"))
	if err != nil {
		return nil, err
	}
	nomad, err := w.Nomad()
	if err != nil {
		return nil, err
	}
	return &verify.Cluster{Consul: w.consul, Prefix: w.Prefix, Ingress: w.ingress, Files: files, Nomad: &verify.Nomad{Client: nomad}, Now: now}, nil
}
