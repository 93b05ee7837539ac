package cli

import (
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/verify"
)

type verifyCommand struct {
	stateFlag `embed:""`
	Output    string `short:"o" enum:"text,json" default:"text" help:"text, or json for machines."`
}

// Run verifies the running mesh and exits with 1 when anything is not as the definition says.
func (c *verifyCommand) Run(console *Console) error {
	dir, record, def, err := c.runningMesh()
	if err != nil {
		return err
	}
	ctx, cancel := interruptible()
	defer cancel()
	report, err := verify.Run(ctx, dir, record, def)
	if err != nil {
		return err
	}
	if c.Output == "json" {
		err = console.printJSON(report)
	} else {
		err = report.Text(console.Out)
	}
	if err != nil {
		return err
	}
	if !report.OK() {
		return exitError(1)
	}
	return nil
}
