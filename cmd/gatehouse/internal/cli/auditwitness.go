package cli

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"

	"github.com/gatehouse/gatehouse/internal/witness"
)

type auditWitnessCommand struct {
	State  string   `required:"" help:"Folder of the witness: its key, and what it has cosigned. Never restore it from a backup." placeholder:"DIR"`
	Log    []string `help:"Verifier key of a log that is watched, name+hash+key; several keys of one name are those of one log." sep:"none" placeholder:"VKEY"`
	Listen string   `help:"Address that is listened on, plain HTTP; elsewhere than on this machine a proxy with a certificate belongs in front." default:"127.0.0.1:7380" placeholder:"HOST:PORT"`
	NewKey string   `help:"Make the witness's key, for this name, print the verifier key that others pin, and end." placeholder:"NAME"`
}

// Run makes the key, or serves until it is told to stop.
func (c *auditWitnessCommand) Run(console *Console) error {
	if c.NewKey != "" {
		key, err := witness.NewKey(rand.Reader, c.State, c.NewKey)
		if err == nil {
			console.printf("%s\n", key)
		}
		return err
	}
	if len(c.Log) == 0 {
		return errors.New("no log is watched: give the verifier key of one with --log, as `gatehouse audit key` prints it; or make the witness's own with --new-key NAME")
	}
	log := slog.New(slog.NewJSONHandler(console.Err, nil))
	w, err := witness.Open(c.State, c.Log, log)
	if err != nil {
		return err
	}
	defer func() { _ = w.Close() }()
	ctx, cancel := interruptible()
	defer cancel()
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w: name another address with --listen", c.Listen, err)
	}
	if to, err := netip.ParseAddrPort(listener.Addr().String()); err != nil || !to.Addr().Unmap().IsLoopback() {
		fmt.Fprintf(console.Err, "gatehouse: the witness listens on %s in clear: put a proxy with a certificate in front, logs ask over https alone\n", listener.Addr())
	}
	console.printf("witness    %s\nlistening  http://%s\n", w.Key(), listener.Addr())
	return w.Serve(ctx, listener)
}
