package cluster

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/preflight"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// madeSite is the folder of the keys of a site.
func madeSite(t *testing.T) string {
	t.Helper()
	network, err := ParseNetwork("192.168.60.0/23")
	check.NoError(t, err)
	folder := t.TempDir()
	made, err := MakeSite(folder, network, time.Now())
	if err != nil || !made {
		t.Fatal(made, err)
	}
	return folder
}

// Keys are made once, each host has its own only, and nobody but root reads them.
func TestMakeSite(t *testing.T) {
	folder := madeSite(t)
	server, err := ReadMember(memberFile(folder, "server"))
	check.NoError(t, err)
	if again, err := MakeSite(folder, Network{}, time.Now()); again || err != nil {
		t.Errorf("a second time: %v, %v", again, err)
	}
	if same, err := ReadMember(memberFile(folder, "server")); err != nil || !reflect.DeepEqual(same, server) {
		t.Errorf("the server's keys have changed: %v", err)
	}
	if !server.Server || server.Address != netip.MustParseAddr("192.168.60.11") || len(server.Tokens.Agents) != 3 || server.NomadAgent != "" {
		t.Errorf("%+v", server)
	}
	client, err := ReadMember(memberFile(folder, "client-2"))
	check.NoError(t, err)
	if client.Server || client.Database || client.Address != netip.MustParseAddr("192.168.60.22") || client.NomadGossip != "" ||
		!reflect.DeepEqual(client.Tokens, tokens{}) || client.AgentToken != server.Tokens.Agents["client-2"] || client.NomadAgent != server.Tokens.NomadAgents["client-2"] {
		t.Errorf("%+v", client)
	}
	text, err := os.ReadFile(filepath.Join(folder, "environment"))
	if err != nil || !strings.Contains(string(text), "export NOMAD_ADDR='https://192.168.60.11:4646'\n") {
		t.Errorf("%s, %v", text, err)
	}
	err = filepath.WalkDir(folder, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if info, err := entry.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
		return nil
	})
	check.NoError(t, err)
	if _, err := ReadMember(memberFile(folder, "client-3")); err == nil || !strings.Contains(err.Error(), "--keys") {
		t.Errorf("a host without keys: %v", err)
	}
}

// What a host runs follows from its role, and what Nomad is told of its machine from where it is.
func TestPrepare(t *testing.T) {
	folder := madeSite(t)
	programs := Programs{CNI: "/cni", Programs: preflight.Programs{Consul: preflight.Program{Path: "/bin/consul"}}, Nomad: preflight.Program{Path: "/bin/nomad"}}
	for name, c := range map[string]struct {
		has, lacks []string
	}{
		"server":   {[]string{`server.hcl`, `bootstrap_expect = 1`}, []string{"network_interface"}},
		"client-2": {[]string{`network_interface = "eth1"`, `"/tasks" = "/opt/gatehouse/bin"`, `cidr = "192.168.61.0/24"`}, []string{"memory_total_mb", "encrypt"}},
	} {
		for _, shared := range []bool{false, true} {
			m, err := ReadMember(memberFile(folder, name))
			check.NoError(t, err)
			p := place{folder: t.TempDir(), programs: programs, tasks: "/tasks", link: "eth1", shared: shared}
			processes, err := m.prepare(t.Context(), p)
			check.NoError(t, err)
			if len(processes) != 2 || processes[0].Name != "consul" || processes[1].Name != "nomad" || (len(processes[0].Ready) > 0) == m.Server {
				t.Errorf("%s: %+v", name, processes)
			}
			text, err := os.ReadFile(p.file("nomad-host.hcl"))
			check.NoError(t, err)
			for _, want := range c.has {
				if !strings.Contains(string(text), want) {
					t.Errorf("%s lacks %s:\n%s", name, want, text)
				}
			}
			for _, other := range c.lacks {
				if strings.Contains(string(text), other) && !shared {
					t.Errorf("%s has %s:\n%s", name, other, text)
				}
			}
			if !m.Server && shared && !strings.Contains(string(text), "memory_total_mb") {
				t.Errorf("%s on a machine with others counts its memory:\n%s", name, text)
			}
		}
	}
}

func TestLinkOf(t *testing.T) {
	if link, err := linkOf(netip.MustParseAddr("127.0.0.1")); err != nil || link != "lo" {
		t.Errorf("%s, %v", link, err)
	}
	if _, err := linkOf(netip.MustParseAddr("192.0.2.1")); err == nil || !strings.Contains(err.Error(), "192.0.2.1") || !strings.Contains(err.Error(), "--network") {
		t.Errorf("%v", err)
	}
}

// The Vagrantfile gives its machines the addresses that their keys are for.
func TestTheAddressesOfTheVagrantfile(t *testing.T) {
	raw, err := os.ReadFile("../../../../Vagrantfile")
	check.NoError(t, err)
	folder := madeSite(t)
	for _, name := range append(clientNames(), serverName) {
		m, err := ReadMember(memberFile(folder, name))
		check.NoError(t, err)
		network, err := ParseNetwork(m.Network)
		check.NoError(t, err)
		last := m.Address.As4()[3]
		for _, want := range []string{fmt.Sprintf("%q => %d", name, last), fmt.Sprintf("NETWORK = %q", m.Network),
			fmt.Sprintf(`ip: "%s#{number}"`, strings.TrimSuffix(network.private.Addr().String(), "0")),
			fmt.Sprintf(`ip: "%s#{number}"`, strings.TrimSuffix(network.public.Addr().String(), "0"))} {
			if !strings.Contains(string(raw), want) {
				t.Errorf("%s: the Vagrantfile does not have %s", name, want)
			}
		}
	}
}
