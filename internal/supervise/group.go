package supervise

import (
	"context"
	"slices"
	"sync"
	"time"
)

// logCheck is how often log files are looked at for their size.
const logCheck = time.Second

// Group is a set of processes that are supervised together. Use New; Close ends it.
type Group struct {
	opts   Options
	forker *forker

	mu        sync.Mutex
	processes []*Process // in order of start
	closed    bool

	changing sync.Mutex // one Changed call at a time
	ended    chan struct{}
	rotated  chan struct{}
}

// New returns an empty group.
func New(opts Options) *Group {
	g := &Group{opts: opts.withDefaults(), forker: newForker(), ended: make(chan struct{}), rotated: make(chan struct{})}
	go g.rotate()
	return g
}

// Start begins to run a process and keeps it running. It does not wait for it to be useful. On a closed group it does nothing.
func (g *Group) Start(spec Spec) *Process {
	p := &Process{spec: spec.withDefaults(), group: g, stop: make(chan struct{}), stopped: make(chan struct{})}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		close(p.stopped)
		return p
	}
	g.processes = append(g.processes, p)
	go p.run()
	return p
}

// Running lists the living processes in order of start.
func (g *Group) Running() []Running {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []Running
	for _, p := range g.processes {
		if id, ok := p.Identity(); ok {
			all = append(all, Running{Name: p.Name(), Identity: id})
		}
	}
	return all
}

// Close stops everything, the highest stage first and each stage together, and returns when nothing runs. What has not ended by the
// end of the context is killed.
func (g *Group) Close(ctx context.Context) {
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return
	}
	g.closed = true
	all := slices.Clone(g.processes)
	g.mu.Unlock()

	slices.SortStableFunc(all, func(a, b *Process) int { return b.spec.Stage - a.spec.Stage })
	for len(all) > 0 {
		end := slices.IndexFunc(all, func(p *Process) bool { return p.spec.Stage != all[0].spec.Stage })
		if end < 0 {
			end = len(all)
		}
		var stage sync.WaitGroup
		for _, p := range all[:end] {
			stage.Go(func() { p.Stop(ctx) })
		}
		stage.Wait()
		all = all[end:]
	}
	close(g.ended)
	<-g.rotated
	g.forker.close()
}

func (g *Group) changed() {
	g.changing.Lock()
	defer g.changing.Unlock()
	g.opts.Changed(g.Running())
}

func (g *Group) rotate() {
	defer close(g.rotated)
	tick := time.NewTicker(logCheck)
	defer tick.Stop()
	for {
		select {
		case <-g.ended:
			return
		case <-tick.C:
		}
		g.mu.Lock()
		all := slices.Clone(g.processes)
		g.mu.Unlock()
		for _, p := range all {
			_ = bound(p.spec.Log, g.opts.MaxLog) // tried again a second later
		}
	}
}
