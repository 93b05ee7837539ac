package fxmod

import (
	"context"
	"fmt"
	"io"
	"os"

	"go.uber.org/dig"
	"go.uber.org/fx"
)

// New makes an app whose stop is long enough for every drain.
func New(options ...fx.Option) *fx.App {
	return fx.New(append([]fx.Option{fx.StopTimeout(stopTimeout)}, options...)...)
}

// Run starts the app, waits for SIGINT, SIGTERM or a server that failed, stops it and returns the exit code of the process. Why a
// start failed goes to stderr in one sentence.
func Run(app *fx.App) int { return run(app, os.Stderr) }

func run(app *fx.App, w io.Writer) int {
	start, cancel := context.WithTimeout(context.Background(), app.StartTimeout())
	defer cancel()
	if err := app.Start(start); err != nil {
		_, _ = fmt.Fprintln(w, Sentence(err))
		return 1
	}
	signal := <-app.Wait()
	stop, cancel := context.WithTimeout(context.Background(), app.StopTimeout())
	defer cancel()
	if err := app.Stop(stop); err != nil {
		_, _ = fmt.Fprintln(w, Sentence(err))
		return 1
	}
	return signal.ExitCode
}

// Sentence is what people need of a start's error: its cause, without fx's account of the constructors on the way.
func Sentence(err error) string { return dig.RootCause(err).Error() }
