package supervise

import (
	"os/exec"
	"runtime"
)

// forker starts processes from one operating-system thread that lives as long as the group. The kernel sends a parent-death signal
// when the *thread* that forked ends, so a child started from just any goroutine could be killed by a thread that the runtime retires.
type forker struct {
	work chan func()
	done chan struct{}
}

func newForker() *forker {
	f := &forker{work: make(chan func()), done: make(chan struct{})}
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		defer close(f.done)
		for task := range f.work {
			task()
		}
	}()
	return f
}

// start runs cmd.Start on the forker's thread.
func (f *forker) start(cmd *exec.Cmd) error {
	result := make(chan error, 1)
	f.work <- func() { result <- cmd.Start() }
	return <-result
}

// close ends the thread. Children that still live get their death signal.
func (f *forker) close() {
	close(f.work)
	<-f.done
}
