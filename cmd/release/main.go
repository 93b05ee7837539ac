// Command release makes what a release consists of, from the last commit: archives of the static
// programs for each architecture, one of what a site needs beside them, checksums and a bill of
// materials. Nothing in it depends on when, where or by whom it was made: two runs with one commit
// and one Go write the same bytes. `make release` runs it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

func main() {
	var r release
	kong.Parse(&r, kong.Name("release"))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := r.run(ctx, func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}
