package supervise

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// Process is one supervised process: the sequence of its lives.
//
//	starting ──► running ──dies──► waiting (backoff) ──► starting …
//	    └───────────┴───── Stop ──────┴──► stopped (for ever)
type Process struct {
	spec  Spec
	group *Group

	stop     chan struct{} // closed by Stop
	stopOnce sync.Once
	stopped  chan struct{} // closed when the process is gone for ever

	mu     sync.Mutex
	id     Identity // zero while not running
	deaths int
	reason string
}

// Name returns the name of the process.
func (p *Process) Name() string { return p.spec.Name }

// Identity returns the living process; ok is false while there is none.
func (p *Process) Identity() (id Identity, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.id, p.id.PID != 0
}

// Deaths returns how often the process died against our will, and why the last time.
func (p *Process) Deaths() (count int, reason string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.deaths, p.reason
}

// Stop ends the process for good: the stop signal, then SIGKILL for its group after the stop timeout or at the end of the context.
func (p *Process) Stop(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, p.spec.StopTimeout)
	defer cancel()
	p.stopOnce.Do(func() { close(p.stop) })
	if id, ok := p.Identity(); ok {
		_ = syscall.Kill(id.PID, p.spec.StopSignal) // gone already is what we want
	}
	select {
	case <-p.stopped:
		return
	case <-ctx.Done():
	}
	if id, ok := p.Identity(); ok {
		_ = killGroup(id.PID)
	}
	<-p.stopped
}

// run lives until Stop.
func (p *Process) run() {
	defer close(p.stopped)
	opts := p.group.opts
	backoff := opts.MinBackoff
	for {
		begun := opts.Now()
		err := p.live()
		if p.stopping() {
			return
		}
		if opts.Now().Sub(begun) >= opts.Stable {
			backoff = opts.MinBackoff
		}
		p.died(err, backoff)
		wait := time.NewTimer(backoff)
		select {
		case <-p.stop:
			wait.Stop()
			return
		case <-wait.C:
		}
		backoff = min(2*backoff, opts.MaxBackoff)
	}
}

// live starts the process once and returns when it has ended, with the reason.
func (p *Process) live() error {
	cmd, err := p.start()
	if err != nil {
		return err
	}
	p.group.changed()
	if p.stopping() { // Stop may have looked for the process just before it was there
		_ = syscall.Kill(cmd.Process.Pid, p.spec.StopSignal)
	}
	err = cmd.Wait()
	if !p.spec.KeepChildren || p.stopping() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what it left behind in its group
	}
	p.mu.Lock()
	p.id = Identity{}
	p.mu.Unlock()
	p.group.changed()
	if err == nil {
		err = errors.New("exit status 0")
	}
	return err
}

func (p *Process) start() (*exec.Cmd, error) {
	cmd, err := p.spec.Command()
	if err != nil {
		return nil, err
	}
	defer func() {
		for _, f := range cmd.ExtraFiles {
			_ = f.Close() // the child has its own copy
		}
	}()
	log, err := openLog(p.spec.Log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	cmd.Stdout, cmd.Stderr = log, log
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	cmd.SysProcAttr.Pdeathsig = p.spec.DeathSignal
	if err := p.group.forker.start(cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.spec.Name, err)
	}
	id, err := Identify(cmd.Process.Pid)
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return nil, err
	}
	p.mu.Lock()
	p.id = id
	p.mu.Unlock()
	return cmd, nil
}

func (p *Process) stopping() bool {
	select {
	case <-p.stop:
		return true
	default:
		return false
	}
}

func (p *Process) died(err error, again time.Duration) {
	p.mu.Lock()
	p.deaths++
	p.reason = err.Error()
	p.mu.Unlock()
	p.group.opts.Died(Death{Name: p.spec.Name, Reason: err.Error(), Again: again})
}
