package cli

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// signalsVariable makes this test print the signals that would end it, in a process that a shell
// has started in some way.
const signalsVariable = "CLI_TEST_PRINTS_STOP_SIGNALS"

// nohup, and a shell that puts `up` into the background, have it ignore signals; it goes on
// ignoring them.
func TestSignalsThatTheShellIgnoresDoNotEndUp(t *testing.T) {
	if os.Getenv(signalsVariable) != "" {
		fmt.Println(stopSignals())
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// The shells begin with the signals' defaults, even where whoever started the tests ignores
	// them.
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGHUP, syscall.SIGINT)
	defer signal.Stop(caught)
	for trap, want := range map[string]string{
		":": "[terminated interrupt hangup]", "trap '' HUP": "[terminated interrupt]", "trap '' INT": "[terminated hangup]", "trap '' HUP INT": "[terminated]",
	} {
		cmd := exec.Command("sh", "-c", trap+`; exec "$0" -test.run "^$1\$"`, self, t.Name())
		cmd.Env = append(os.Environ(), signalsVariable+"=1")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.HasPrefix(string(out), want+"\n") {
			t.Errorf("%s: %v\n%s\nwant %s", trap, err, out, want)
		}
	}
}

// upVariable makes the next test the operator's command, with these words.
const upVariable = "CLI_TEST_IS_GATEHOUSE"

// A folder of the state has the same mode whatever the umask of the shell: PostgreSQL's user passes
// the outer ones, nobody the inner.
func TestTheUmaskOfTheShellDecidesNoMode(t *testing.T) {
	if words := os.Getenv(upVariable); words != "" {
		args := strings.Split(words, "\n")
		environ := []string{"GATEHOUSE_GATEWAY_LISTEN=" + args[0]}
		os.Exit(Main(Console{Args: args[1:], Environ: environ, Out: os.Stdout, Err: os.Stderr, Now: time.Now}))
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	programs := t.TempDir()
	found := map[string]string{"consul": "Consul v1.22.0", "envoy": "envoy  version: 1/1.36.0/Clean/RELEASE/BoringSSL"}
	def, err := definition("")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names(def) {
		found[name] = ""
	}
	for name, says := range found {
		if err := os.WriteFile(filepath.Join(programs, name), []byte("#!/bin/sh\necho '"+says+"'\n"), 0o755); err != nil { // a program
			t.Fatal(err)
		}
	}
	for _, umask := range []string{"000", "022", "027", "077"} {
		state := filepath.Join(t.TempDir(), "outer", "state")
		cmd := exec.Command("sh", "-c", "umask "+umask+`; exec "$0" -test.run "^$1\$"`, self, t.Name())
		cmd.Env = append(os.Environ(), upVariable+"="+strings.Join([]string{taken.Addr().String(), "up", "--state", state, "--bin-dir", programs}, "\n"))
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "is taken") { // it got as far as that
			t.Fatalf("%v\n%s", err, out)
		}
		for name, want := range map[string]fs.FileMode{"..": 0o711, ".": 0o711, "secrets": 0o700, "consul": 0o700, "logs": 0o700, "up.lock": 0o600} {
			info, err := os.Stat(filepath.Join(state, name))
			if err != nil {
				t.Fatal(err)
			}
			if got := info.Mode().Perm(); got != want {
				t.Errorf("umask %s: %s has mode %v, want %v", umask, name, got, want)
			}
		}
	}
}
