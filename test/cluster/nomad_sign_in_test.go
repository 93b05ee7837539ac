package cluster_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// Operators sign in to Nomad and Consul with Gatehouse, by the commands of the page about it. Who has
// no role there is given no token.
func TestSignInToNomadAndConsul(t *testing.T) {
	c := running(t)
	c.explains(t)
	l := c.visit(t)
	administrator := c.administrator(t, l)
	raw, err := os.ReadFile(filepath.Join(c.root, "docs", "operations", "nomad-sign-in.md"))
	check.NoError(t, err)
	nomad, consul, ok := bytes.Cut(raw, []byte("<!-- id.jwt is there -->"))
	if !ok {
		t.Fatal("the page does not say where an ID token is needed")
	}
	consul, undo, _ := bytes.Cut(consul, []byte("## Undoing it"))
	dir := t.TempDir()
	script := func(page []byte) *exec.Cmd {
		var text strings.Builder
		runnable(t, page, &text)
		cmd := c.command(t, "timeout", "60", "bash", "-euo", "pipefail", "-c", text.String())
		cmd.Dir, cmd.WaitDelay = dir, 5*time.Second
		cmd.Env = append(cmd.Env, c.as(administrator)...)
		return cmd
	}
	t.Cleanup(func() {
		if out, err := output(script(undo)); err != nil {
			t.Errorf("undoing it: %v\n%s", err, out)
		}
	})
	out, err := c.browsing(t, script(nomad), administrator)
	for _, want := range []string{"gatehouse-" + administrator.id, "[gatehouse-operator]"} {
		if err != nil || !strings.Contains(out, want) {
			t.Fatalf("%v, want %s in\n%s", err, want, out)
		}
	}
	c.idToken(t, dir, administrator)
	if out, err := output(script(consul)); err != nil || !strings.Contains(out, " - reads") || !strings.Contains(out, "gatehouse-auth") {
		t.Errorf("consul login: %v\n%s", err, out)
	}
	login := c.command(t, "timeout", "60", "env", "-u", "NOMAD_TOKEN", "nomad", "login")
	login.Dir = dir
	if out, err := c.browsing(t, login, l.signUp(t)); err == nil || !strings.Contains(out, "no role or policy bindings matched") {
		t.Errorf("somebody without a role: %v\n%s", err, out)
	}
}

// browsing runs a command that opens a browser, in which somebody signs in.
func (c *cluster) browsing(t *testing.T, cmd *exec.Cmd, who *person) (said string, err error) {
	t.Helper()
	bin := t.TempDir()
	opened := filepath.Join(bin, "opened")
	check.NoError(t, os.WriteFile(filepath.Join(bin, "xdg-open"), []byte("#!/bin/sh\nprintf %s \"$1\" >\"$0.part\" && mv \"$0.part\" '"+opened+"'\n"), 0o700))
	cmd.Env = append(cmd.Env, "PATH="+bin+":"+filepath.Join(c.root, ".bin")+":"+os.Getenv("PATH"))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		said, err = output(cmd)
	}()
	var link []byte
	check.Within(t, time.Minute, "the command opens the browser", func() (missing error) {
		select {
		case <-ended:
			t.Fatalf("it ends without: %v\n%s", err, said)
		default:
		}
		link, missing = os.ReadFile(opened)
		return missing
	})
	v := c.visitor(t)
	v.Says(v.SignIn(v.Open(string(link)), who.email, password), http.StatusOK, "OIDC Authentication Succeeded")
	<-ended
	return said, err
}

// idToken has somebody sign in to the client of consul.json, and leaves the ID token beside it.
func (c *cluster) idToken(t *testing.T, dir string, who *person) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "consul.json"))
	check.NoError(t, err)
	var r registered
	check.NoError(t, json.Unmarshal(raw, &r))
	a := c.application(t, r, "roles")
	tokens := a.redeem(t, a.signIn(t, c.visitor(t), who), who)
	check.NoError(t, os.WriteFile(filepath.Join(dir, "id.jwt"), []byte(idToken(tokens)), 0o600))
}
