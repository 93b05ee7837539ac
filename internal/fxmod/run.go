package fxmod

import (
	"context"
	"errors"

	"go.uber.org/dig"
	"go.uber.org/fx"

	"github.com/gatehouse/gatehouse/internal/program"
)

// New makes an app whose stop is long enough for every drain.
func New(options ...fx.Option) *fx.App {
	return fx.New(append([]fx.Option{fx.StopTimeout(stopTimeout)}, options...)...)
}

// Run starts the app, waits for SIGINT, SIGTERM or a server that failed, and stops it. Its error is
// one sentence about why a start or a stop failed, or a program.ExitCode where the log says why.
func Run(app *fx.App) error {
	start, cancel := context.WithTimeout(context.Background(), app.StartTimeout())
	defer cancel()
	if err := app.Start(start); err != nil {
		return errors.New(Sentence(err))
	}
	signal := <-app.Wait()
	stop, cancel := context.WithTimeout(context.Background(), app.StopTimeout())
	defer cancel()
	if err := app.Stop(stop); err != nil {
		return errors.New(Sentence(err))
	}
	if signal.ExitCode != 0 {
		return program.ExitCode(signal.ExitCode)
	}
	return nil
}

// Sentence is what people need of a start's error: its cause, without fx's account of the
// constructors on the way.
func Sentence(err error) string { return dig.RootCause(err).Error() }
