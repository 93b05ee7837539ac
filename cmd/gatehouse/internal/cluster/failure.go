package cluster

import (
	"context"
	"fmt"
	"path/filepath"
	"syscall"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/cluster/host"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
)

// Fail ends everything on a host at once, or only cuts its link.
func Fail(ctx context.Context, dir state.Dir, name string, onlyLink bool) error {
	return change(dir, name, func(r *Record, h *Host) error {
		if h.Failed || h.Cut && onlyLink {
			return fmt.Errorf("%s has failed already: heal it with `gatehouse cluster host heal %s`", name, name)
		}
		if onlyLink {
			h.Cut = true
			return host.Configure(ctx, &r.Site.First.PID, fmt.Sprintf("link set %s down", port(name)))
		}
		h.Failed, h.Cut = true, false
		if err := h.First.Terminate(ctx, syscall.SIGKILL); err != nil {
			return fmt.Errorf("end the host %s: %w", name, err)
		}
		return unplug(ctx, r.Site.First.PID, name)
	})
}

// unplug takes the host's port away, which the kernel would do some time after the end of the host.
func unplug(ctx context.Context, site int, name string) error {
	there := func() bool { return host.Configure(ctx, &site, "link show "+port(name)) == nil }
	if !there() {
		return nil
	}
	if err := host.Configure(ctx, &site, "link delete "+port(name)); err != nil && there() {
		return err
	}
	return nil
}

// Heal starts a host again, with what is on its disk, or mends its link.
func Heal(ctx context.Context, dir state.Dir, name string, self []string) error {
	return change(dir, name, func(r *Record, h *Host) error {
		switch {
		case h.Cut && h.First.Alive():
			h.Cut = false
			return host.Configure(ctx, &r.Site.First.PID, fmt.Sprintf("link set %s up", port(name)))
		case !h.Failed && h.First.Alive():
			return fmt.Errorf("%s runs: there is nothing to heal", name)
		}
		h.Failed, h.Cut = false, false
		spec, err := host.Read(filepath.Join(hostFolder(dir, name), "host.json"))
		if err != nil {
			return err
		}
		c := &cluster{opts: Options{Dir: dir, Self: self}, record: *r}
		gone := Record{Hosts: []Host{*h}}
		if err := removeGroups(ctx, cgroups, dir, gone); err != nil { // they would be gone after a start of the machine
			return err
		}
		own, err := c.record.Host(name)
		if err != nil {
			return err
		}
		if err := unplug(ctx, r.Site.First.PID, name); err != nil {
			return err
		}
		err = c.start(ctx, own, spec, func(first int) error { return plug(ctx, r.Site.First.PID, first, name) })
		*r = c.record
		return err
	})
}

// change changes the record of a host, and the host with it.
func change(dir state.Dir, name string, apply func(*Record, *Host) error) error {
	unlock, err := lock(dir)
	if err != nil {
		return err
	}
	defer unlock()
	r, err := Running(dir)
	if err != nil {
		return err
	}
	h, err := r.Host(name)
	if err != nil {
		return err
	}
	if err := apply(&r, h); err != nil {
		return err
	}
	return r.write(dir)
}
