package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/verify"
	"github.com/gatehouse/gatehouse/internal/mesh"
)

type meshCommand struct {
	Verify verifyCommand `cmd:"" help:"Try every cell of who may call what against the running sidecars."`
	Denied deniedCommand `cmd:"" help:"Show the calls that sidecars refused: who called whom, which method, how often."`
	Diff   diffCommand   `cmd:"" help:"Show what the working tree newly allows or takes away: calls, access of people, relationships, schemas, secrets."`
}

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
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	report, err := verify.Run(ctx, dir, record, def)
	if err != nil {
		return err
	}
	if c.Output == "json" {
		raw, err := json.MarshalIndent(report, "", "  ")
		if err != nil {
			return fmt.Errorf("encode the report: %w", err)
		}
		console.printf("%s\n", raw)
	} else if err := report.Text(console.Out); err != nil {
		return err
	}
	if !report.OK() {
		return exitError(1)
	}
	return nil
}

type diffCommand struct {
	Base     string `required:"" placeholder:"REF" help:"Git ref to compare with."`
	Markdown bool   `help:"As Markdown for a pull request."`
}

// Run compares the generated definition of the working tree with that of a git ref.
func (c *diffCommand) Run(console *Console) error {
	root, err := repository()
	if err != nil {
		return err
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
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
