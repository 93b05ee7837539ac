package cli

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// signalsVariable makes this test print the signals that would end it, in a process that a shell has started in some way.
const signalsVariable = "CLI_TEST_PRINTS_STOP_SIGNALS"

// nohup, and a shell that puts `up` into the background, have it ignore signals; it goes on ignoring them.
func TestSignalsThatTheShellIgnoresDoNotEndUp(t *testing.T) {
	if os.Getenv(signalsVariable) != "" {
		fmt.Println(stopSignals())
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
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
