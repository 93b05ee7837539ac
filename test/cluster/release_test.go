package cluster_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	nomad "github.com/hashicorp/nomad/api"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// A job runs what it downloads: the programs of an archive as `make release` makes it, and Envoy. With
// a wrong checksum it starts nothing, says so, and what ran goes on.
func TestAJobWithArtifacts(t *testing.T) {
	c := running(t)
	sums := c.serve(t)
	client := c.nomad(t)
	t.Cleanup(func() { // what it downloads is not to be had any more: a new allocation would fail
		c.deployed(t, "identity", c.submit(t, "identity"), nomad.DeploymentStatusSuccessful)
		c.gone(t, "identity", 2)
	})
	before := c.allocations(t, client, "identity")
	wrong := c.submit(t, "identity", "-var", artifacts(sums, func(sum string) string { return strings.Repeat("0", len(sum)) }))
	check.Within(t, 5*time.Minute, "Nomad says that a checksum is wrong", func() error {
		all, _, err := client.Jobs().Allocations("identity", false, nil)
		check.NoError(t, err)
		said := errors.New("nothing is said yet")
		for _, a := range all {
			for task, state := range a.TaskStates {
				for _, event := range state.Events {
					if a.JobVersion == wrong && strings.Contains(event.DisplayMessage, "Checksums did not match") {
						t.Logf("%s: %s", task, event.DisplayMessage)
						return nil
					}
					said = errors.New(event.DisplayMessage)
				}
			}
		}
		return said
	})
	c.deployed(t, "identity", wrong, nomad.DeploymentStatusFailed)
	for _, a := range before {
		if now, _, err := client.Allocations().Info(a.ID, nil); err != nil || now.ClientStatus != nomad.AllocClientStatusRunning {
			t.Errorf("%s does not run any more: %v", a.ID, err)
		}
	}
	right := c.submit(t, "identity", "-var", artifacts(sums, func(sum string) string { return sum }))
	c.deployed(t, "identity", right, nomad.DeploymentStatusSuccessful)
	c.gone(t, "identity", 2)
	for _, a := range c.allocations(t, client, "identity") {
		if got, want := commands(t, a.ID), []string{"/local/gatehouse/envoy", "/local/gatehouse/identity"}; !slices.Equal(got, want) {
			t.Errorf("%s runs %v, want %v", a.ID[:8], got, want)
		}
	}
}

// artifacts is a value of that variable.
func artifacts(sums map[string]string, sum func(string) string) string {
	var pairs []string
	for url, right := range sums {
		pairs = append(pairs, fmt.Sprintf("%q = %q", url, "sha256:"+sum(right)))
	}
	return "artifacts={ " + strings.Join(pairs, ", ") + " }"
}

// serve offers an archive of the programs, and Envoy, to the hosts, and returns checksums by URL.
func (c *cluster) serve(t *testing.T) map[string]string {
	t.Helper()
	listener := listen(t)
	envoy, err := os.ReadFile(filepath.Join(c.root, ".bin", "envoy"))
	check.NoError(t, err)
	files := map[string][]byte{"gatehouse.tar.gz": c.archive(t), "envoy-linux": envoy}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, r.URL.Path, time.Time{}, bytes.NewReader(files[strings.TrimPrefix(r.URL.Path, "/")]))
	})}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	base := "http://" + listener.Addr().String()
	sums := map[string]string{}
	for url, name := range map[string]string{base + "/gatehouse.tar.gz": "gatehouse.tar.gz", base + "/envoy-linux?filename=envoy": "envoy-linux"} {
		sum := sha256.Sum256(files[name])
		sums[url] = hex.EncodeToString(sum[:])
	}
	return sums
}

// listen listens where the hosts reach this machine.
func listen(t *testing.T) net.Listener {
	t.Helper()
	link, err := net.InterfaceByName("gatehouse0")
	check.NoError(t, err)
	addresses, err := link.Addrs()
	check.NoError(t, err)
	own, _, err := net.ParseCIDR(addresses[0].String())
	check.NoError(t, err)
	listener, err := net.Listen("tcp", net.JoinHostPort(own.String(), "0"))
	check.NoError(t, err)
	return listener
}

// archive packs the programs as a release has them, side by side.
func (c *cluster) archive(t *testing.T) []byte {
	t.Helper()
	var packed bytes.Buffer
	zipped, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	check.NoError(t, err)
	out := tar.NewWriter(zipped)
	for _, name := range append([]string{"gatehouse"}, programs...) {
		f, err := os.Open(filepath.Join(c.root, ".bin", name))
		check.NoError(t, err)
		info, err := f.Stat()
		check.NoError(t, err)
		check.NoError(t, out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: info.Size(), Mode: 0o755}))
		_, err = io.Copy(out, f)
		check.NoError(t, errors.Join(err, f.Close()))
	}
	check.NoError(t, out.Close())
	check.NoError(t, zipped.Close())
	return packed.Bytes()
}

// commands are those of the processes of an allocation.
func commands(t *testing.T, allocation string) (all []string) {
	t.Helper()
	environs, err := filepath.Glob("/proc/[0-9]*/environ")
	check.NoError(t, err)
	for _, environ := range environs {
		text, err := os.ReadFile(environ)
		line, lineErr := os.ReadFile(filepath.Join(filepath.Dir(environ), "cmdline"))
		if err == nil && lineErr == nil && bytes.Contains(text, []byte("NOMAD_ALLOC_ID="+allocation+"\x00")) { // others have ended
			command, _, _ := strings.Cut(string(line), "\x00")
			all = append(all, command)
		}
	}
	slices.Sort(all)
	return all
}
