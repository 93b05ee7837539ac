package cli

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/logs"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/target"
	"github.com/gatehouse/gatehouse/internal/visible"
)

type deniedCommand struct {
	targetFlags `embed:""`
	Since       time.Duration `default:"10m" help:"How far to look back."`
	Output      string        `short:"o" enum:"text,json" default:"text" help:"text, or json for machines."`
}

// Run lists what the sidecars refused.
func (c *deniedCommand) Run(console *Console) error {
	if c.Since <= 0 {
		return fmt.Errorf("--since is %s: give a time to look back, such as 10m", c.Since)
	}
	w, err := c.find(console)
	if err != nil {
		return err
	}
	tally := logs.NewTally(console.Now().Add(-c.Since), w.Prefix)
	if w.Kind == target.Machine {
		err = c.machine(tally, w)
	} else {
		err = c.cluster(console, tally, w)
	}
	if err != nil {
		return err
	}
	return console.answer(c.Output, tally.Calls(), func() error { return c.text(console, tally.Calls()) })
}

// machine reads the log files of the platform's sidecars.
func (c *deniedCommand) machine(tally *logs.Tally, w world) error {
	sidecars := map[string]string{} // by what they are called after: whose calls they refuse
	for _, p := range w.Instances(w.Record.Scale) {
		sidecars[p.ID()] = p.Name
	}
	for _, backing := range w.Backings {
		sidecars[backing.Name] = backing.Name
	}
	for id, callee := range sidecars {
		if err := tally.AddFile(callee, w.Dir.Log(state.SidecarOf(id))); err != nil {
			return err
		}
	}
	return nil
}

// cluster asks Nomad for the logs of its sidecars. What it does not give is told: there may have
// been refusals.
func (c *deniedCommand) cluster(console *Console, tally *logs.Tally, w world) error {
	nomad, err := w.Nomad()
	if err != nil {
		return err
	}
	if nomad == nil {
		return errors.New("NOMAD_ADDR is not set: set it, and the other NOMAD_* variables that Nomad's own command needs, to read the sidecars' logs")
	}
	ctx, cancel := interruptible()
	defer cancel()
	if err := logged(ctx, w); err != nil {
		return err
	}
	unread, err := tally.AddNomad(ctx, nomad, callees(w))
	for _, problem := range unread {
		fmt.Fprintf(console.Err, "gatehouse: %s\n", problem)
	}
	return err
}

// logged refuses to say that nothing was refused where sidecars write no log of calls.
func logged(ctx context.Context, w world) error {
	consul, err := w.Consul()
	if err != nil {
		return err
	}
	held, _, err := consul.ConfigEntries().List(api.ProxyDefaults, (&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return fmt.Errorf("ask whether sidecars log calls: %w", err)
	}
	for _, entry := range held {
		if e, ok := entry.(*api.ProxyConfigEntry); ok && e.AccessLogs != nil && e.AccessLogs.Enabled && e.AccessLogs.JSONFormat == logs.Format() {
			return nil
		}
	}
	return fmt.Errorf("the sidecars in %s log no calls: add AccessLogs to proxy-defaults/global, enabled, to stdout, with this JSONFormat: %s", w.Name, logs.Format())
}

// callees are all whose sidecars refuse calls.
func callees(w world) []string {
	all := names(w.Definition.Definition)
	for _, backing := range w.Backings {
		all = append(all, backing.Name)
	}
	return all
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
