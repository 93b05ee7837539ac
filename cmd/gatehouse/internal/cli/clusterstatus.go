package cli

import (
	"fmt"
	"text/tabwriter"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/cluster"
	"github.com/gatehouse/gatehouse/internal/registry"
)

type clusterStatusCommand struct {
	clusterFlag `embed:""`
	Output      string `short:"o" enum:"text,json" default:"text" help:"text, or json for machines."`
}

// Run shows the cluster. It exits with 1 when something is not healthy: a host, an agent, a job of the
// definition, or the door.
func (c *clusterStatusCommand) Run(console *Console) error {
	dir, record, err := c.running()
	if err != nil {
		return err
	}
	def, err := definition("")
	if err != nil {
		return err
	}
	ctx, cancel := interruptible()
	defer cancel()
	status := cluster.Look(ctx, dir, record, registry.Services(def))
	if err := console.answer(c.Output, status, func() error { return printCluster(console, status) }); err != nil {
		return err
	}
	if !status.Healthy {
		return exitError(1)
	}
	return nil
}

func printCluster(console *Console, status cluster.Status) error {
	console.printf("gateway  %s/readyz: %s\n\n", status.URL, status.Door)
	if !status.Started {
		console.printf("its start has not come to its end: it goes on, or was stopped; begin anew with `gatehouse cluster down`\n\n")
	}
	table := tabwriter.NewWriter(console.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "HOST\tADDRESS\tPID\tSTATE\tCONSUL\tNOMAD")
	for _, h := range status.Hosts {
		fmt.Fprintf(table, "%s\t%s\t%d\t%s\t%s\t%s\n", h.Name, h.Address, h.PID, h.State, h.Consul, h.Nomad)
	}
	fmt.Fprintln(table, "\nJOB\tWANTED\tRUNNING\tSTATE")
	for _, j := range status.Jobs {
		fmt.Fprintf(table, "%s\t%d\t%d\t%s\n", j.Name, j.Wanted, j.Running, j.State)
	}
	fmt.Fprintln(table, "\nJOB\tTASKS\tHOST\tSTATE\tALLOCATION\tVERSION")
	for _, a := range status.Allocations {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%d\n", a.Job, a.Tasks, a.Host, a.State, a.ID, a.Version)
	}
	return table.Flush()
}
