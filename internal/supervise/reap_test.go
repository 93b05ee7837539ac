package supervise_test

import (
	"os"
	"testing"

	"github.com/gatehouse/gatehouse/internal/supervise"
)

// Other children that end are waited for as well, and one that was waited for is not there again.
func TestReapUntil(t *testing.T) {
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	start := func(script string) int {
		child, err := os.StartProcess("/bin/sh", []string{"sh", "-c", script}, &os.ProcAttr{Files: []*os.File{in, out}})
		if err != nil {
			t.Fatal(err)
		}
		return child.Pid
	}
	start("echo; exit 3")
	last := start("read line; exit 7") // after the other one has written it
	status, err := supervise.ReapUntil(last)
	if err != nil || status.ExitStatus() != 7 {
		t.Errorf("%v, %v", status, err)
	}
	_, _ = in.Close(), out.Close()
	if _, err := supervise.ReapUntil(last); err == nil {
		t.Errorf("process %d was waited for twice", last)
	}
}
