package cluster

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/preflight"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// standIns are programs that write their command line to a file beside them and stay.
func standIns(t *testing.T) (Programs, string) {
	t.Helper()
	bin := t.TempDir()
	write := func(name string) preflight.Program {
		path := filepath.Join(bin, name)
		script := fmt.Sprintf("#!/bin/sh\necho \"$@\" >>%s.ran\n[ \"$1\" != agent ] || exec sleep 600\n", path)
		check.NoError(t, os.WriteFile(path, []byte(script), 0o700))
		return preflight.Program{Path: path}
	}
	self := write("gatehouse").Path
	return Programs{
		CNI: "/cni", Nomad: write("nomad"),
		Programs: preflight.Programs{Consul: write("consul"), Envoy: write("envoy"), Own: map[string]string{"shop": write("shop").Path}},
	}, self
}

// A machine that is a client of a site runs both agents with its files until it is told to stop, and
// tasks find the programs.
func TestHostUp(t *testing.T) {
	m, err := ReadMember(memberFile(madeSite(t), "client-2"))
	check.NoError(t, err)
	m.Address = netip.MustParseAddr("127.0.0.1")
	programs, self := standIns(t)
	folder, err := os.MkdirTemp("/tmp", "host") // short, for the sockets below it
	check.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	options := HostOptions{Member: m, Folder: folder, Programs: programs, Self: self, Now: time.Now, Progress: t.Logf}
	for range 2 { // the second time with what is on the disk
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- HostUp(ctx, options) }()
		ran := programs.Nomad.Path + ".ran"
		check.Eventually(t, "Nomad runs, after Consul", func() bool {
			raw, err := os.ReadFile(ran)
			return err == nil && strings.Contains(string(raw), "agent -config "+filepath.Join(folder, "nomad.hcl")+" -config "+filepath.Join(folder, "nomad-host.hcl"))
		})
		asked, err := os.ReadFile(programs.Consul.Path + ".ran")
		if err != nil || !strings.Contains(string(asked), "acl token read -self") {
			t.Errorf("Consul was started with %s, %v", asked, err)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		check.NoError(t, os.Remove(ran))
	}
	for _, name := range []string{"shop", "envoy", "gatehouse"} {
		if _, err := os.Stat(filepath.Join(folder, "programs", name)); err != nil {
			t.Errorf("tasks do not find %s: %v", name, err)
		}
	}
	options.Folder = "/" + strings.Repeat("x", longestDir)
	if err := HostUp(t.Context(), options); err == nil || !strings.Contains(err.Error(), "--state") {
		t.Errorf("a long path: %v", err)
	}
}
