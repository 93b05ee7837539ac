package cluster_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

// The README's tour runs word for word against the balancer of a cluster that nobody has used yet,
// because the first administrator is made once.
func TestReadmeTour(t *testing.T) {
	c := running(t)
	raw, err := os.ReadFile(filepath.Join(c.root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)<!-- tour:begin -->\\s*```(?:bash|sh)\n(.*?)```\\s*<!-- tour:end -->").FindSubmatch(raw)
	if block == nil {
		t.Fatal("README.md has no block between <!-- tour:begin --> and <!-- tour:end -->")
	}
	tour := c.command(t, "bash", "-euo", "pipefail", "-c", string(block[1]))
	tour.Dir = t.TempDir()
	if err := os.Symlink(filepath.Join(c.root, ".bin"), filepath.Join(tour.Dir, ".bin")); err != nil {
		t.Fatal(err)
	}
	tour.WaitDelay = time.Minute
	out, err := output(tour)
	if err != nil {
		t.Fatalf("the tour stops: %v\n%s", err, out)
	}
}

// Everything that the cluster has is healthy, says the command that operators look at.
func TestStatus(t *testing.T) {
	c := running(t)
	out, err := c.cli("status", "-o", "json")
	var status struct {
		Healthy bool `json:"healthy"`
		Hosts   []struct {
			Name string `json:"name"`
		} `json:"hosts"`
	}
	if err != nil || json.Unmarshal([]byte(out), &status) != nil || !status.Healthy || len(status.Hosts) != 3 {
		t.Errorf("cluster status: %v\n%s", err, out)
	}
}
