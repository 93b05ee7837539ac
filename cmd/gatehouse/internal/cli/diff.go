package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gatehouse/gatehouse/internal/mesh"
)

type diffCommand struct {
	targetFlags `embed:""`
	Base        string `placeholder:"REF" help:"Git ref to compare the working tree with, instead of asking the running mesh."`
	Markdown    bool   `help:"With --base: as Markdown for a pull request."`
	Output      string `short:"o" enum:"text,json" default:"text" help:"Without --base: text, or json for machines."`
}

// Run compares the definition with what runs, or two versions of it.
func (c *diffCommand) Run(console *Console) error {
	switch {
	case c.Base != "" && c.Output == "json":
		return errors.New("--output json is for what runs: leave it or --base out")
	case c.Base != "":
		return c.versions(console)
	case c.Markdown:
		return errors.New("--markdown is for two versions of the contracts: name the older one with --base")
	}
	return c.running(console)
}

// running exits with 1 when Consul holds anything else than the definition says.
func (c *diffCommand) running(console *Console) error {
	w, err := c.reach(console)
	if err != nil {
		return err
	}
	ctx, cancel := interruptible()
	defer cancel()
	report, err := w.drifted(ctx)
	if err != nil {
		return err
	}
	err = console.answer(c.Output, report, func() error { return report.Text(console.Out) })
	if err == nil && !report.OK() {
		return exitError(1)
	}
	return err
}

// versions compares the generated definition of the working tree with that of a git ref.
func (c *diffCommand) versions(console *Console) error {
	root, err := repository()
	if err != nil {
		return err
	}
	ctx, cancel := interruptible()
	defer cancel()
	base, err := meshAt(ctx, root, c.Base)
	if err != nil {
		return err
	}
	head, err := definition(filepath.Join(root, filepath.Dir(mesh.File)))
	if err != nil {
		return err
	}
	diff := mesh.Compare(base, head)
	if c.Markdown {
		return diff.Markdown(console.Out)
	}
	return diff.Text(console.Out)
}

// repository is the nearest folder upwards with a generated definition.
func repository() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the working folder: %w", err)
	}
	for folder := start; ; folder = filepath.Dir(folder) {
		if _, err := os.Stat(filepath.Join(folder, mesh.File)); err == nil {
			return folder, nil
		}
		if folder == filepath.Dir(folder) {
			return "", fmt.Errorf("no %s in %s or above: run this inside a checkout of Gatehouse", mesh.File, start)
		}
	}
}
