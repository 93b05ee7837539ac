package cli

import (
	"errors"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/explain"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/target"
)

type explainCommand struct {
	targetFlags `embed:""`
	Caller      string `arg:"" help:"Program that calls."`
	Callee      string `arg:"" name:"callee[/method]" help:"Program or backing service that is called, and one method: authz, authz/Check, authz/AuthzService/Check."`
	Output      string `short:"o" enum:"text,json" default:"text" help:"text, or json for machines."`
}

// Run explains by the definition, and beside it by what runs, if anything does.
func (c *explainCommand) Run(console *Console) error {
	w, err := c.reach(console)
	if errors.Is(err, target.ErrNone) {
		w = world{}
		w.Definition, err = explained(c.Mesh)
	}
	if err != nil {
		return err
	}
	q, err := explain.Ask(w.Definition.Definition, c.Caller, c.Callee)
	if err != nil {
		return err
	}
	var live *explain.Live
	asked := ""
	if w.Target != nil {
		ctx, cancel := interruptible()
		defer cancel()
		if live, err = w.live(ctx, q.Callee); err != nil {
			return err
		}
		asked = w.Name
	}
	answers, err := w.Answers(q, live)
	if err != nil {
		return err
	}
	return console.answer(c.Output, answers, func() error { return explain.Text(console.Out, answers, asked) })
}
