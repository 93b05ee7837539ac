package cli

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/internal/pg/pgserver"
)

// A server of a job's own: the data are made once, it listens on loopback of its namespace only, and
// has room for the instances that it is told of.
func TestDatabaseServe(t *testing.T) {
	root := t.TempDir()
	for dir := root; dir != "/" && dir != os.TempDir(); dir = filepath.Dir(dir) { // PostgreSQL passes as a user of its own when this is root
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	programs, _, err := pgserver.Locate(t.Context(), filepath.Join(root, "data"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	password := filepath.Join(root, "password")
	if err := os.WriteFile(password, []byte("correct horse\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := &databaseServeCommand{Data: filepath.Join(root, "data"), Programs: programs, Instances: 6}
	if _, err := c.server(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "set POSTGRES_PASSWORD_FILE") {
		t.Errorf("without a password: %v", err)
	}
	environ := []string{"POSTGRES_PASSWORD_FILE=" + password}
	connections := map[int]string{}
	for _, c.Instances = range []int{2, 6} {
		cmd, err := c.server(t.Context(), environ)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{c.Data, "listen_addresses=127.0.0.1", "port=15432"} {
			if !slices.Contains(cmd.Args, want) {
				t.Errorf("it runs %v, without %s", cmd.Args, want)
			}
		}
		connections[c.Instances] = cmd.Args[slices.IndexFunc(cmd.Args, func(a string) bool { return strings.HasPrefix(a, "max_connections=") })]
	}
	var two, six int
	if _, err := fmt.Sscanf(connections[2]+" "+connections[6], "max_connections=%d max_connections=%d", &two, &six); err != nil || six < 2*two {
		t.Errorf("%v for two and six instances, %v", connections, err)
	}
	if os.Geteuid() == 0 {
		if err := c.Run(&Console{Environ: environ}); err == nil || !strings.Contains(err.Error(), "as another user") {
			t.Errorf("as root: %v", err)
		}
	}
}
