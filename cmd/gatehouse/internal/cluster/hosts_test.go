package cluster

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/cluster/host"
)

// What is known of a host and of its processes holds no secret: those are in files of root alone, and
// each host has its own.
func TestSecretsAreInFilesOfRoots(t *testing.T) {
	network, err := ParseNetwork("10.203.0.0/23")
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{opts: Options{Dir: prepared(t), Network: network, Now: time.Now}}
	if err := c.makeKeys(t.Context()); err != nil {
		t.Fatal(err)
	}
	secrets := []string{c.keys.consulGossip, c.keys.nomadGossip, c.keys.tokens.Consul, c.keys.tokens.Nomad}
	for _, name := range clientNames() {
		secrets = append(secrets, c.keys.tokens.NomadAgents[name], c.keys.tokens.Agents[name])
	}
	if slices.Sort(secrets); len(slices.Compact(slices.Clone(secrets))) != 4+2*clients || secrets[0] == "" {
		t.Fatalf("two of %d secrets are one, or there is none", len(secrets))
	}
	name := clientNames()[1]
	m, err := c.keys.member(network, name, 22)
	if err != nil {
		t.Fatal(err)
	}
	processes, err := m.prepare(t.Context(), place{folder: c.folder(name)})
	if err != nil {
		t.Fatal(err)
	}
	if err := (host.Spec{Name: name, Processes: processes}).Write(c.specPath(name)); err != nil {
		t.Fatal(err)
	}
	holders := map[string]bool{}
	err = filepath.WalkDir(c.folder(name), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil || !slices.ContainsFunc(secrets, func(secret string) bool { return strings.Contains(string(raw), secret) }) {
			return err
		}
		holders[filepath.Base(path)] = true
		if info, err := entry.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s holds a secret: %v, %v", path, info.Mode(), err)
		}
		return nil
	})
	if err != nil || len(holders) != 3 || holders["host.json"] {
		t.Errorf("secrets are in %v, %v", holders, err)
	}
}
