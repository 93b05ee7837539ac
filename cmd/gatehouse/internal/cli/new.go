package cli

import (
	"context"
	"os/signal"
	"syscall"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/scaffold"
)

type newCommand struct {
	Service newServiceCommand `cmd:"" help:"Write a new service: contract, program, tests; docs/adding-a-service.md goes on from there."`
}

type newServiceCommand struct {
	Name string `arg:"" help:"Its mesh name, such as billing: lower-case letters and digits."`
}

// Run writes the service into the checkout around the working folder.
func (c *newServiceCommand) Run(console *Console) error {
	root, err := repository()
	if err != nil {
		return err
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	if err := unchanged(ctx, root); err != nil {
		return err
	}
	files, err := scaffold.Service(root, c.Name)
	if err != nil {
		return err
	}
	for _, file := range files {
		console.printf("%s\n", file)
	}
	console.printf("\nnext: make generate build; then read docs/adding-a-service.md\n")
	return nil
}
