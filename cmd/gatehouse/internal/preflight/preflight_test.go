package preflight_test

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/preflight"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
)

// script writes an executable that prints a text.
func script(t *testing.T, folder, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(folder, name), []byte("#!/bin/sh\necho '"+text+"'\n"), 0o700); err != nil { // a program
		t.Fatal(err)
	}
}

func TestFind(t *testing.T) {
	good, old, bin := t.TempDir(), t.TempDir(), t.TempDir()
	script(t, good, "consul", "Consul v1.22.3")
	script(t, good, "envoy", "envoy version: abc/1.40.1/Clean")
	script(t, old, "consul", "Consul v1.10.0")
	script(t, old, "envoy", "envoy version: abc/1.40.0/Clean")
	script(t, bin, "identity", "")
	t.Setenv("PATH", "/usr/bin:/bin")

	found, err := preflight.Find(t.Context(), bin, []string{"identity"}, good)
	if err != nil || found.Consul.Version.String() != "1.22.3" || found.Envoy.Path != filepath.Join(good, "envoy") || found.Own["identity"] != filepath.Join(bin, "identity") {
		t.Errorf("%+v, %v", found, err)
	}
	if found, err := preflight.Find(t.Context(), bin, nil, old, good); err != nil || found.Consul.Path != filepath.Join(good, "consul") {
		t.Errorf("behind a program that is too old: %+v, %v", found, err)
	}
	t.Run("on PATH", func(t *testing.T) {
		t.Setenv("PATH", good+":/usr/bin:/bin")
		if found, err := preflight.Find(t.Context(), bin, nil, t.TempDir()); err != nil || found.Consul.Path != filepath.Join(good, "consul") {
			t.Errorf("%+v, %v", found, err)
		}
	})
	for name, c := range map[string]struct {
		own     []string
		folder  string
		wantAll []string
	}{
		"too old":       {nil, old, []string{"1.22.0", "1.10.0", "make tools"}},
		"missing":       {nil, t.TempDir(), []string{"was not found", "make tools"}},
		"our own gone":  {[]string{"auth"}, good, []string{"auth", bin, "make build", "--bin-dir"}},
		"a mere folder": {[]string{"."}, good, []string{"make build"}},
	} {
		_, err := preflight.Find(t.Context(), bin, c.own, c.folder)
		for _, want := range c.wantAll {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want it to say %q", name, err, want)
			}
		}
	}
}

func TestATakenPortIsNamedWithItsHolder(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	err = preflight.CheckPorts(t.Context(), []preflight.Port{{Address: "127.0.0.1:0", Use: "a free one"}, {Address: taken.Addr().String(), Use: "identity"}})
	if err == nil {
		t.Fatal("a taken port: no error")
	}
	for _, want := range []string{taken.Addr().String(), "identity", "process " + strconv.Itoa(os.Getpid()), "--port-offset"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the sentence lacks %q: %v", want, err)
		}
	}
}

// Gossip goes by UDP too: a port that only UDP holds is taken for it, and free for the others.
func TestAPortTakenByUDP(t *testing.T) {
	port := onlyByUDP(t)
	if err := preflight.CheckPorts(t.Context(), []preflight.Port{port}); err == nil || !strings.Contains(err.Error(), port.Address) {
		t.Errorf("with UDP: %v", err)
	}
	def := meshtest.Definition(t)
	udp := 0
	for _, p := range preflight.Ports(def, nil, 0, "127.0.0.1:8080", true) {
		if p.UDP {
			udp++
		}
	}
	if udp != 1 {
		t.Errorf("%d ports with UDP, want that of the gossip", udp)
	}
}

// onlyByUDP takes a port that is free for TCP, and for CheckPorts where UDP is not asked for. Other
// programs of the machine take ports meanwhile, so it looks at several.
func onlyByUDP(t *testing.T) preflight.Port {
	t.Helper()
	for range 100 {
		taken, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = taken.Close() })
		address := taken.LocalAddr().String()
		refused := preflight.CheckPorts(t.Context(), []preflight.Port{{Address: address, Use: "gossip"}})
		if refused == nil {
			return preflight.Port{Address: address, Use: "gossip", UDP: true}
		}
		if free, err := net.Listen("tcp", address); err == nil {
			_ = free.Close()
			t.Errorf("a port that only UDP holds is refused: %v", refused)
		}
	}
	t.Fatal("every port is taken")
	panic("unreachable")
}

func TestPorts(t *testing.T) {
	def := meshtest.Definition(t)
	seen := map[string]string{}
	for _, offset := range []int{0, 1000, 2000} {
		for _, p := range preflight.Ports(def, mesh.Scale{"identity": 2, "authz": 2}, offset, "127.0.0.1:"+strconv.Itoa(8080+offset), true) {
			if other, twice := seen[p.Address]; twice {
				t.Errorf("%s is needed for %s and for %s", p.Address, other, p.Use)
			}
			seen[p.Address] = p.Use
		}
	}
	without := preflight.Ports(def, nil, 0, "127.0.0.1:8080", false)
	if with := preflight.Ports(def, nil, 0, "127.0.0.1:8080", true); len(with) != len(without)+1 {
		t.Errorf("%d ports with our own database server, %d without", len(with), len(without))
	}
}

func TestCheckOffset(t *testing.T) {
	for offset, ok := range map[int]bool{0: true, 1000: true, 40000: true, -1000: false, 500: false, 41000: false, 70000: false} {
		if err := preflight.CheckOffset(offset); (err == nil) != ok {
			t.Errorf("%d: %v", offset, err)
		}
	}
}
