// Package site_test tries Gatehouse at a site of somebody else: one host, a network namespace of this
// machine, with a Consul server, a Nomad agent that is server and client, jobs of others, and Nomad's
// own setup of Consul. It needs root and the machine to itself: `make test-site` runs it after the
// development cluster is down, `make test` does not.
package site_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"text/template"
	"time"

	"github.com/google/uuid"
	consul "github.com/hashicorp/consul/api"
	nomad "github.com/hashicorp/nomad/api"

	"github.com/gatehouse/gatehouse/consul/agent"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/consultest"
)

func TestMain(m *testing.M) {
	if role() {
		return
	}
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "site: these tests make a network namespace: run `sudo make test-site`")
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// Addresses of the host and of this machine on the link between them, which is the only one.
const (
	address = "10.205.0.2"
	machine = "10.205.0.1"
	link    = "gatehouse-site0"
)

// cni are the folders of what CNI keeps for a host.
const cni = "/var/run/netns /var/run/cni /var/lib/cni"

// site is a host with the agents of somebody else.
type site struct {
	Folder   string
	Programs string // .bin of the checkout
	Address  string
	Token    string // of Consul, for management
	Gossip   string
	Chroot   map[string]string
	Careful  bool // Nomad's client does what doctor says

	consul *consul.Client
	nomad  *nomad.Client
	first  int // process of the namespaces
	agent  *exec.Cmd
	token  string // of Nomad, for management
}

// newSite starts it. All of it ends with the test.
func newSite(t *testing.T) *site {
	t.Helper()
	program, err := consultest.Find("nomad")
	check.NoError(t, err)
	folder, err := os.MkdirTemp("/tmp", "site") // short: Nomad makes sockets below it
	check.NoError(t, err)
	s := &site{Folder: folder, Programs: filepath.Dir(program), Address: address, Token: uuid.NewString(), Gossip: "aPuGh+5UDskRAbkLaXRzFoSOcSM+5vAK+NEYOWHJH7w="}
	check.NoError(t, os.Chmod(folder, 0o755))
	groups := before(t)
	t.Cleanup(func() {
		groups.remove(t)
		check.NoError(t, os.RemoveAll(folder))
	})
	s.stage(t)
	s.certify(t)
	s.namespaces(t)
	s.write(t, "consul.hcl")
	s.start(t, "consul", "agent", "-config-file", filepath.Join(folder, "consul.hcl"))
	s.consul, err = consul.NewClient(&consul.Config{Address: address + ":8501", Scheme: "https", Token: s.Token, TLSConfig: consul.TLSConfig{
		CAFile: s.file("ca.pem"), CertFile: s.file("operator.pem"), KeyFile: s.file("operator.key"),
	}})
	check.NoError(t, err)
	check.Within(t, time.Minute, "Consul answers", func() error {
		_, _, err := s.consul.Agent().ConnectCARoots(nil)
		return err
	})
	s.startNomad(t)
	check.Within(t, time.Minute, "Nomad gives out its first token", func() error {
		made, _, err := s.nomad.ACLTokens().Bootstrap(nil)
		if err == nil {
			s.token = made.SecretID
		}
		return err
	})
	s.nomad.SetSecretID(s.token)
	s.awaitNode(t)
	return s
}

func (s *site) file(name string) string { return filepath.Join(s.Folder, name) }

// certify gives agents and the operator certificates of the site's authority.
func (s *site) certify(t *testing.T) {
	t.Helper()
	authority, err := agent.NewAuthority("somebody's agents", time.Now())
	check.NoError(t, err)
	names := []string{"server.dc1.consul", "server.global.nomad", "client.global.nomad", "localhost"}
	cert, key, err := authority.Issue("site", names, net.ParseIP(address), net.IPv4(127, 0, 0, 1))
	check.NoError(t, err)
	own, ownKey, err := authority.Issue("operator", nil)
	check.NoError(t, err)
	public, publicKey, err := authority.Issue("gateway", []string{"gatehouse.example.com"})
	check.NoError(t, err)
	for name, text := range map[string]string{
		"ca.pem": authority.PEM, "agent.pem": cert, "agent.key": key, "operator.pem": own, "operator.key": ownKey, "gateway.pem": public, "gateway.key": publicKey,
	} {
		check.NoError(t, os.WriteFile(s.file(name), []byte(text), 0o600))
	}
}

// namespaces makes the host: its processes end with the first one.
func (s *site) namespaces(t *testing.T) {
	t.Helper()
	// What CNI keeps for a host is its own. The first process ends when this one does not hold its
	// input any more, however that ends.
	const mounts = "for d in " + cni + "; do mkdir -p $d; mount -t tmpfs tmpfs $d; done; echo ready; exec cat"
	cmd := exec.Command("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-ec", mounts)
	in, err := cmd.StdinPipe()
	check.NoError(t, err)
	out, err := cmd.StdoutPipe()
	check.NoError(t, err)
	cmd.Stderr = t.Output()
	check.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = in.Close() // and with the first process, all others of the host end
		_ = cmd.Wait()
	})
	if _, err := out.Read(make([]byte, 8)); err != nil {
		t.Fatalf("make the namespaces: %v", err)
	}
	s.first = child(t, cmd)
	for _, line := range []string{
		fmt.Sprintf("ip link add %s type veth peer name eth0 netns %d", link, s.first),
		fmt.Sprintf("ip address add %s/24 dev %s", machine, link), "ip link set " + link + " up",
	} {
		run(t, nil, strings.Fields(line)...)
	}
	for _, line := range []string{
		"ip link set lo up", fmt.Sprintf("ip address add %s/24 dev eth0", address), "ip link set eth0 up", "ip route add default via " + machine,
	} {
		run(t, nil, append(s.inside(), strings.Fields(line)...)...)
	}
}

// child is the process that one has started in another namespace.
func child(t *testing.T, cmd *exec.Cmd) (pid int) {
	t.Helper()
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", cmd.Process.Pid, cmd.Process.Pid))
	check.NoError(t, err)
	_, err = fmt.Sscan(string(children), &pid)
	check.NoError(t, err)
	return pid
}

// inside begins a command on the host.
func (s *site) inside() []string { return []string{"nsenter", "-t", fmt.Sprint(s.first), "-a"} }

// write writes the configuration of an agent.
func (s *site) write(t *testing.T, name string) {
	t.Helper()
	parsed, err := template.ParseFiles(filepath.Join("testdata", name+".tmpl"))
	check.NoError(t, err)
	f, err := os.OpenFile(s.file(name), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	check.NoError(t, err)
	defer func() { _ = f.Close() }()
	check.NoError(t, parsed.Execute(f, s))
}

// start starts an agent on the host.
func (s *site) start(t *testing.T, program string, args ...string) *exec.Cmd {
	t.Helper()
	words := append(append(s.inside(), filepath.Join(s.Programs, program)), args...)
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Env = []string{"PATH=" + s.Programs + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8"}
	log, err := os.OpenFile(s.file(program+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	check.NoError(t, err)
	defer func() { _ = log.Close() }()
	cmd.Stdout, cmd.Stderr = log, log
	check.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			text, _ := os.ReadFile(s.file(program + ".log"))
			t.Logf("%s:\n%s", program, text[max(0, len(text)-4000):])
		}
	})
	return cmd
}

// startNomad starts Nomad, or starts it again with what has changed of its configuration. Tasks go on
// meanwhile.
func (s *site) startNomad(t *testing.T) {
	t.Helper()
	s.write(t, "nomad.hcl")
	if s.agent != nil {
		check.NoError(t, syscall.Kill(child(t, s.agent), syscall.SIGTERM))
		_ = s.agent.Wait()
	}
	s.agent = s.start(t, "nomad", "agent", "-config", s.file("nomad.hcl"))
	if s.nomad != nil {
		return
	}
	files, err := consul.SetupTLSConfig(&consul.TLSConfig{CAFile: s.file("ca.pem"), CertFile: s.file("operator.pem"), KeyFile: s.file("operator.key")})
	check.NoError(t, err)
	s.nomad, err = nomad.NewClient(&nomad.Config{
		Address: "https://" + address + ":4646", Namespace: "default", TLSConfig: &nomad.TLSConfig{}, HttpClient: &http.Client{Transport: &http.Transport{TLSClientConfig: files}},
	})
	check.NoError(t, err)
}

// awaitNode waits until the client takes jobs.
func (s *site) awaitNode(t *testing.T) {
	t.Helper()
	check.Within(t, 90*time.Second, "Nomad's client is ready", func() error {
		nodes, _, err := s.nomad.Nodes().List(nil)
		if err != nil || len(nodes) != 1 {
			return fmt.Errorf("%d clients, %w", len(nodes), err)
		}
		node, _, err := s.nomad.Nodes().Info(nodes[0].ID, nil)
		if err == nil && (node.Status != nomad.NodeStatusReady || node.Attributes["consul.version"] == "" || node.Attributes["plugins.cni.version.bridge"] == "") {
			err = fmt.Errorf("it is %s", node.Status)
		}
		return err
	})
}

// run runs a command.
func run(t *testing.T, environ []string, words ...string) string {
	t.Helper()
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Env = append(os.Environ(), environ...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(words, " "), err, out)
	}
	return string(out)
}
