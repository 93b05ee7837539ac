// Package supervise keeps child processes running on one machine: it starts them, writes their output to size-bound log files, starts
// them again with a backoff when they die, and stops them in order. No child outlives its supervisor: each is in a process group of
// its own and asks the kernel for a signal when the supervisor dies (PR_SET_PDEATHSIG), also when that was a kill -9.
//
// It knows nothing of what it runs. Linux only. The operator's CLI and the test kit import it.
package supervise

import (
	"os/exec"
	"syscall"
	"time"
)

// Spec says how one process is run.
type Spec struct {
	Name    string
	Stage   int                       // Close stops the highest stage first; processes of one stage stop together
	Command func() (*exec.Cmd, error) // a fresh command for every start; the group sets its output and process attributes
	Log     string                    // file that standard output and error are appended to

	StopSignal  syscall.Signal // asks for a graceful stop; SIGTERM when 0
	StopTimeout time.Duration  // how long it may take before SIGKILL; 10 s when 0
	DeathSignal syscall.Signal // sent by the kernel when the supervisor dies; SIGKILL when 0

	// KeepChildren leaves alone what a process has left behind in its group when it ended by itself: an
	// agent finds its children again. Stop ends them all the same.
	KeepChildren bool
}

// Options are the settings of a Group. The zero value of each but Now is usable.
type Options struct {
	Now        func() time.Time
	MinBackoff time.Duration   // before the first restart; 200 ms when 0. Doubles with each death
	MaxBackoff time.Duration   // upper bound; 5 s when 0
	Stable     time.Duration   // a process that lived this long starts at MinBackoff again; 10 s when 0
	MaxLog     int64           // bytes at which a log file is moved to <name>.1 and emptied; 16 MiB when 0
	Changed    func([]Running) // called after every start and death, never twice at a time
	Died       func(Death)     // called after every unwanted death
}

// Running is one living process of a group.
type Running struct {
	Name     string
	Identity Identity
}

// Death is one unwanted end of a process.
type Death struct {
	Name   string
	Reason string        // such as "exit status 1" or "signal: killed"
	Again  time.Duration // until the next start
}

func (s Spec) withDefaults() Spec {
	if s.StopSignal == 0 {
		s.StopSignal = syscall.SIGTERM
	}
	if s.StopTimeout == 0 {
		s.StopTimeout = 10 * time.Second
	}
	if s.DeathSignal == 0 {
		s.DeathSignal = syscall.SIGKILL
	}
	return s
}

func (o Options) withDefaults() Options {
	if o.MinBackoff == 0 {
		o.MinBackoff = 200 * time.Millisecond
	}
	if o.MaxBackoff == 0 {
		o.MaxBackoff = 5 * time.Second
	}
	if o.Stable == 0 {
		o.Stable = 10 * time.Second
	}
	if o.MaxLog == 0 {
		o.MaxLog = 16 << 20
	}
	if o.Changed == nil {
		o.Changed = func([]Running) {}
	}
	if o.Died == nil {
		o.Died = func(Death) {}
	}
	return o
}
