package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"syscall"
	"time"

	"github.com/gatehouse/gatehouse/internal/database"
)

// readyPoll is how often a starting server is asked whether it answers.
const readyPoll = 50 * time.Millisecond

// Process is a running server. Use Server.Start.
type Process struct {
	server *Server
	cmd    *exec.Cmd
	exited chan struct{}
	err    error // valid after exited
}

// Start runs the server and returns when it answers. A data folder must have been made by Init.
func (s *Server) Start(ctx context.Context) (*Process, error) {
	cmd, err := s.Command()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	p := &Process{server: s, cmd: cmd, exited: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.exited)
	}()
	if err := p.ready(ctx); err != nil {
		return nil, errors.Join(err, p.Kill())
	}
	return p, nil
}

func (p *Process) ready(ctx context.Context) error {
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	for {
		if database.Answers(ctx, p.server.SuperURL("postgres")) {
			return nil
		}
		select {
		case <-tick.C:
		case <-p.exited:
			return fmt.Errorf("PostgreSQL ended at its start (%w): see its log; is port %d taken?", p.err, p.server.Port)
		case <-ctx.Done():
			return fmt.Errorf("wait for PostgreSQL to answer: %w", ctx.Err())
		}
	}
}

// PID is the process id of the server.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Exited is closed when the server has ended, for whatever reason.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Stop ends the server in order: open transactions are rolled back and sessions closed. When the context ends first, it is killed; its
// data survive that.
func (p *Process) Stop(ctx context.Context) error {
	if err := p.signal(syscall.SIGINT); err != nil {
		return err
	}
	select {
	case <-p.exited:
		return nil
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("stop PostgreSQL: %w", ctx.Err()), p.Kill())
	}
}

// Kill ends the server at once, as a crash would; the next start recovers.
func (p *Process) Kill() error {
	if err := p.signal(syscall.SIGQUIT); err != nil {
		return err
	}
	select {
	case <-p.exited:
		return nil
	case <-time.After(5 * time.Second):
	}
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.exited
	return nil
}

func (p *Process) signal(signal syscall.Signal) error {
	select {
	case <-p.exited:
		return nil
	default:
	}
	if err := p.cmd.Process.Signal(signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("signal PostgreSQL: %w", err)
	}
	return nil
}
