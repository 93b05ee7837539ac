package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strings"
	"unicode"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/explain"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/intentions"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/operator"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/target"
)

type denyCommand struct {
	targetFlags `embed:""`
	Caller      string `arg:"" help:"Program that calls."`
	Callee      string `arg:"" name:"callee[/method]" help:"Program or backing service that is called; all of it without a method."`
	Reason      string `required:"" placeholder:"TEXT" help:"Why, for whoever finds the denial: stored with who and when in the entry."`
}

// Run denies in the entry that decides. What an automatic apply would undo is said.
func (c *denyCommand) Run(console *Console) error {
	if strings.TrimSpace(c.Reason) == "" || strings.ContainsFunc(c.Reason, unicode.IsControl) {
		return errors.New("--reason is empty or more than one line: say in one line why the call is denied")
	}
	w, q, err := c.question(console, c.Caller, c.Callee)
	if err != nil {
		return err
	}
	mark := intentions.Mark{By: whoRuns(console.Environ), At: console.Now(), Reason: strings.TrimSpace(c.Reason)}
	ctx, cancel := interruptible()
	defer cancel()
	store := intentions.Store{Consul: w.consul}
	all, err := store.Get(ctx, intentions.Everybody)
	if err != nil && !errors.Is(err, intentions.ErrMissing) {
		return w.told(err)
	}
	err = store.Change(ctx, w.Prefix.Service(q.Callee), func(live *api.ServiceIntentionsConfigEntry) (*api.ServiceIntentionsConfigEntry, error) {
		if live == nil {
			return nil, fmt.Errorf("%s has no service-intentions of %s, so nothing of ours allows the call: %s first, then deny", w.Name, q.Callee, w.Mend)
		}
		if err := w.mine(live); err != nil {
			return nil, err
		}
		return intentions.Deny(live, all, w.Prefix.Service(q.Caller), q.Path, mark)
	})
	if errors.Is(err, intentions.ErrDenied) {
		console.printf("%s is denied already in %s: nothing was changed\n", q, w.Name)
		return nil
	}
	if err != nil {
		return w.told(err)
	}
	console.printf("%s is denied in %s by service-intentions/%s; sidecars follow within 2 s\n", q, w.Name, w.Prefix.Service(q.Callee))
	console.printf("it lasts until: gatehouse mesh reset %s %s; %s\n", q.Caller, calleeOf(q), meanwhile(w.Kind))
	return nil
}

type resetCommand struct {
	targetFlags `embed:""`
	Caller      string `arg:"" help:"Program that calls."`
	Callee      string `arg:"" name:"callee[/method]" help:"Program or backing service that is called; all of it without a method."`
}

// Run writes the definition's rules of a caller again.
func (c *resetCommand) Run(console *Console) error {
	w, q, err := c.question(console, c.Caller, c.Callee)
	if err != nil {
		return err
	}
	want, err := w.wanted(q.Callee)
	if err != nil {
		return err
	}
	ctx, cancel := interruptible()
	defer cancel()
	err = intentions.Store{Consul: w.consul}.Change(ctx, want.Name, func(live *api.ServiceIntentionsConfigEntry) (*api.ServiceIntentionsConfigEntry, error) {
		if live == nil {
			return want, nil
		}
		if err := w.mine(live); err != nil {
			return nil, err
		}
		return intentions.Reset(live, want, w.Prefix.Service(q.Caller), q.Path)
	})
	if err != nil {
		return w.told(err)
	}
	console.printf("%s in %s is what the definition says again\n", q, w.Name)
	return c.leftOver(ctx, console, w, want)
}

// leftOver tells what else of the entry is not the definition's.
func (c *resetCommand) leftOver(ctx context.Context, console *Console, w world, want *api.ServiceIntentionsConfigEntry) error {
	report, err := w.drifted(ctx)
	if err != nil {
		return err
	}
	for _, d := range report.Differences {
		if d.Entry != want.Kind+"/"+want.Name {
			continue
		}
		console.printf("%s still differs from the definition, by %s\n", d.Entry, strings.Join(d.Fields, ", "))
		for _, call := range d.Calls {
			console.printf("  %s\n", call)
		}
	}
	return nil
}

// question finds the mesh and what the operator names in it.
func (f targetFlags) question(console *Console, caller, callee string) (world, explain.Question, error) {
	w, err := f.reach(console)
	if err != nil {
		return w, explain.Question{}, err
	}
	q, err := explain.Ask(w.Definition.Definition, caller, callee)
	return w, q, err
}

// meanwhile is what happens where a definition's entries are written over a denial.
func meanwhile(kind target.Kind) string {
	if kind == target.Machine {
		return "the next `gatehouse up` undoes it, too"
	}
	return "a plan of `terraform apply` fails until then, but with -var undo_denies=true"
}

// calleeOf is what a question was asked with.
func calleeOf(q explain.Question) string { return q.Callee + q.Path }

// whoRuns is the person at the terminal, as far as the machine knows.
func whoRuns(environ []string) string {
	name := operator.Variable(environ, "SUDO_USER")
	if name == "" {
		if current, err := user.Current(); err == nil {
			name = current.Username
		}
	}
	host, err := os.Hostname()
	if err != nil {
		host = "?"
	}
	return name + "@" + host
}
