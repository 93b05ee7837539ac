package cluster_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// binWith is a folder with the programs of the checkout, but for those that are given: scripts that
// print a text, or nothing at all.
func (c *cluster) binWith(t *testing.T, instead map[string]string) string {
	t.Helper()
	folder := t.TempDir()
	entries, err := os.ReadDir(filepath.Join(c.root, ".bin"))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if _, replaced := instead[entry.Name()]; !replaced && !strings.HasPrefix(entry.Name(), ".") {
			if err := os.Symlink(filepath.Join(c.root, ".bin", entry.Name()), filepath.Join(folder, entry.Name())); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, text := range instead {
		if text == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(folder, name), []byte("#!/bin/sh\necho '"+text+"'\n"), 0o755); err != nil { // a program
			t.Fatal(err)
		}
	}
	return folder
}

// Whoever cannot have a cluster is told why in one sentence, with what to do, before anything is
// started.
func TestRefusals(t *testing.T) {
	c := stopped(t)
	const nobody = 65534
	for name, r := range map[string]struct {
		args []string
		path string // PATH; that of the test when empty
		uid  uint32
		want []string
	}{
		"not root":        {uid: nobody, want: []string{"needs root", "sudo"}},
		"no Nomad":        {args: []string{"--bin-dir", c.binWith(t, map[string]string{"nomad": ""})}, path: "/usr/sbin:/usr/bin:/sbin:/bin", want: []string{"nomad 1.11.0 or newer was not found", "make tools"}},
		"Nomad too old":   {args: []string{"--bin-dir", c.binWith(t, map[string]string{"nomad": "Nomad v1.5.0"})}, path: "/usr/sbin:/usr/bin:/sbin:/bin", want: []string{"is 1.5.0", "make tools"}},
		"no CNI plugins":  {args: []string{"--bin-dir", c.binWith(t, map[string]string{"cni": ""})}, want: []string{"CNI plugins 1.3.0 or newer", "make tools"}},
		"no iptables":     {path: filepath.Join(c.root, ".bin") + ":/usr/bin/nowhere", want: []string{"was not found", "apt-get install"}},
		"a strange range": {args: []string{"--network", "10.0.0.0/8"}, want: []string{"10.0.0.0/8", "--network=10.203.0.0/23"}},
		"a range in use":  {args: []string{"--network", "127.0.0.0/23"}, want: []string{"127.0.0.1", "--network"}},
		"a long path":     {args: []string{"--state", filepath.Join(t.TempDir(), strings.Repeat("long", 20))}, want: []string{"too long", "--state"}},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), filepath.Join(c.root, ".bin", "gatehouse"), append([]string{"cluster", "up"}, r.args...)...)
			cmd.Env = os.Environ()
			if r.path != "" {
				cmd.Env = append(cmd.Env, "PATH="+r.path)
			}
			if r.uid != 0 {
				cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: r.uid, Gid: r.uid}}
			}
			refused(t, cmd, r.want...)
			if err := c.leftovers(); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("running already", func(t *testing.T) {
		running(t)
		refused(t, exec.CommandContext(t.Context(), filepath.Join(c.root, ".bin", "gatehouse"), "cluster", "up"), "runs already at https://", "cluster down")
	})
	t.Run("a host that there is not", func(t *testing.T) {
		running(t)
		refused(t, exec.CommandContext(t.Context(), filepath.Join(c.root, ".bin", "gatehouse"), "cluster", "host", "fail", "client-9"), "no host client-9", "client-1", "client-2")
	})
}

// refused wants the command to end with one sentence that has these words.
func refused(t *testing.T, cmd *exec.Cmd, want ...string) {
	t.Helper()
	out, err := output(cmd)
	if err == nil || strings.Count(out, "\n") != 1 {
		t.Errorf("%v, want one sentence:\n%s", err, out)
	}
	for _, word := range want {
		if !strings.Contains(out, word) {
			t.Errorf("it lacks %q:\n%s", word, out)
		}
	}
}
