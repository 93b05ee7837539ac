package cli

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/logs"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
	"github.com/gatehouse/gatehouse/internal/visible"
)

type deniedCommand struct {
	stateFlag `embed:""`
	Since     time.Duration `default:"10m" help:"How far to look back."`
	Output    string        `short:"o" enum:"text,json" default:"text" help:"text, or json for machines."`
}

// Run lists what the sidecars refused.
func (c *deniedCommand) Run(console *Console) error {
	if c.Since <= 0 {
		return fmt.Errorf("--since is %s: give a time to look back, such as 10m", c.Since)
	}
	dir, record, def, err := c.runningMesh()
	if err != nil {
		return err
	}
	tally := logs.NewTally(console.Now().Add(-c.Since), record.ServicePrefix)
	sidecars := map[string]string{} // by what they are called after: whose calls they refuse
	for _, p := range def.Instances(record.Scale) {
		sidecars[p.ID()] = p.Name
	}
	for _, backing := range def.Backings {
		sidecars[backing.Name] = backing.Name
	}
	for id, callee := range sidecars {
		if err := tally.AddFile(callee, dir.Log(state.SidecarOf(id))); err != nil {
			return err
		}
	}
	if c.Output == "json" {
		raw, err := json.MarshalIndent(tally.Calls(), "", "  ")
		if err != nil {
			return fmt.Errorf("encode the refused calls: %w", err)
		}
		console.printf("%s\n", raw)
		return nil
	}
	return c.text(console, tally.Calls())
}

func (c *deniedCommand) text(console *Console, calls []logs.Call) error {
	if len(calls) == 0 {
		console.printf("no sidecar refused a call in the last %s\n", c.Since)
		return nil
	}
	table := tabwriter.NewWriter(console.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "CALLER\tCALLEE\tMETHOD\tCOUNT\tLAST")
	for _, call := range calls {
		// Whoever was refused chose the path.
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\n", visible.Text(call.Caller), call.Callee, visible.Text(dash(call.Method)), call.Count, call.Last.UTC().Format(time.RFC3339))
	}
	return table.Flush()
}
