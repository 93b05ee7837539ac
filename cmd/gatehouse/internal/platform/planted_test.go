package platform

import (
	"context"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// R88: nothing is started with a secret of another origin.
func TestAPlantedSecret(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // a database server that never answers
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	for name, planter := range map[string]func(path string) error{
		"others can write it": func(path string) error { return os.Chmod(path, 0o666) },
		"a link": func(path string) error {
			if err := os.Rename(path, path+".real"); err != nil {
				return err
			}
			return os.Symlink(path+".real", path)
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := testPlatform(t)
			p.opts.Offset = 39000
			p.opts.PostgresURL = "postgres://x:y@" + silent.Addr().String() + "/postgres?sslmode=disable"
			if err := p.opts.Dir.WriteSecret(ManagementToken, "planted"); err != nil {
				t.Fatal(err)
			}
			path := p.opts.Dir.SecretPath(ManagementToken)
			if err := planter(path); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			running, err := Up(ctx, p.opts)
			if err == nil {
				running.Close()
			}
			if err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("%v, want a sentence with %s", err, path)
			}
		})
	}
}
