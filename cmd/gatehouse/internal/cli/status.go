package cli

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/inspect"
)

type statusCommand struct {
	stateFlag `embed:""`
	Output    string `short:"o" enum:"text,json" default:"text" help:"text, or json for machines."`
}

// Run shows the platform. It exits with 1 when nothing runs or something is not healthy.
func (c *statusCommand) Run(console *Console) error {
	dir, record, def, err := c.runningMesh()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	status := inspect.Look(ctx, dir, record, def)
	if err := console.answer(c.Output, status, func() error { return printStatus(console, status) }); err != nil {
		return err
	}
	if !status.Healthy() {
		return exitError(1)
	}
	return nil
}

func printStatus(console *Console, status inspect.Status) error {
	console.printf("gateway  %s\nconsul   https://%s (token in %s)\n\n", status.Gateway.URL, status.Consul.Address, status.Consul.TokenFile)
	table := tabwriter.NewWriter(console.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SERVICE\tHEALTH\tPID\tGRPC\tREST\tOPS\tSIDECAR PID\tPUBLIC\tADMIN")
	for _, s := range status.Services {
		fmt.Fprintf(table, "%s\t%s\t%d\t%s\t%s\t%s\t%d\t%s\t%s\n", s.Name, s.Health, s.PID, dash(s.GRPC), dash(s.REST), dash(s.HTTP), s.Sidecar.PID, s.Sidecar.Public, s.Sidecar.Admin)
	}
	return table.Flush()
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
