package cluster_test

import (
	"bufio"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What a start that was killed has left goes with `cluster down`, whenever it was.
func TestAKilledStart(t *testing.T) {
	for _, after := range []string{"certificates, keys and tokens", "the server: ", "the clients: "} {
		t.Run(strings.Trim(after, ": "), func(t *testing.T) {
			c := stopped(t)
			up := exec.CommandContext(t.Context(), filepath.Join(c.root, ".bin", "gatehouse"), "cluster", "up")
			out, err := up.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := up.Start(); err != nil {
				t.Fatal(err)
			}
			lines, seen := bufio.NewScanner(out), false
			for !seen && lines.Scan() {
				seen = strings.HasPrefix(lines.Text(), after)
			}
			_ = up.Process.Kill()
			_ = up.Wait()
			if !seen {
				t.Fatalf("it ended before it said %q", after)
			}
			if out, err := c.cli("down"); err != nil {
				t.Fatalf("cluster down: %v\n%s", err, out)
			}
			if err := c.leftovers(); err != nil {
				t.Error(err)
			}
		})
	}
}
