package witness_test

import (
	"bufio"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/gatehouse/gatehouse/internal/auditlog/auditlogtest"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/witness"
)

// A stranger's witness cosigns our checkpoints: litewitness of filippo.io/torchwood, as
// tools/litewitness pins it.
func TestLitewitnessCosigns(t *testing.T) {
	key := auditlogtest.LogKey(t, origin)
	s := startLitewitness(t, key)
	l, other := logOf(t, 300, "leaf"), logOf(t, 310, "other")
	c := client(t, s.url, s.key)
	var asked []int64
	for _, size := range []int64{5, 5, 6, 255, 300} {
		checkpoint := l.Checkpoint(t, size, key)
		said, err := c.Cosign(t.Context(), checkpoint, prover(t, l, size, &asked))
		if err != nil {
			t.Fatalf("size %d: %v", size, err)
		}
		signed, err := auditlogtest.Keys(t, []string{key.Text}, []string{s.key}).Open(fmt.Appendf(checkpoint, "%s\n", said.Line))
		if err != nil || len(signed.Cosignatures) != 1 || signed.Cosignatures[0].Witness != "example.net/litewitness" {
			t.Errorf("size %d: %+v, %v", size, signed, err)
		}
	}
	if fmt.Sprint(asked) != "[5 6 255]" {
		t.Errorf("proofs were asked for from %v", asked)
	}
	var conflict *witness.ConflictError
	if _, err := c.Cosign(t.Context(), l.Checkpoint(t, 7, key), prover(t, l, 7, &asked)); !errors.As(err, &conflict) || conflict.Size != 300 {
		t.Errorf("rewound: %v", err)
	}
	if _, err := c.Cosign(t.Context(), other.Checkpoint(t, 310, key), prover(t, other, 310, &asked)); !errors.As(err, &conflict) || conflict.Size != 0 {
		t.Errorf("another history: %v", err)
	}
	if shown, err := c.Latest(t.Context(), origin, []string{key.Text}); err == nil || !strings.Contains(err.Error(), "answers 404") {
		t.Errorf("this release shows no checkpoint: %+v, %v", shown, err)
	}
}

// startLitewitness builds and starts the stranger's program, which watches the log with that key.
func startLitewitness(t *testing.T, log auditlogtest.Key) served {
	t.Helper()
	dir, err := os.MkdirTemp("", "lw") // t.TempDir is longer than the path of a socket may be
	check.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	database, socket := filepath.Join(dir, "db"), filepath.Join(dir, "agent")
	program := stranger(t, "litewitness", "filippo.io/torchwood/cmd/litewitness")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check.NoError(t, err)
	address := listener.Addr().String()
	check.NoError(t, listener.Close())
	cmd := exec.Command(program, "-name", "example.net/litewitness", "-db", database, "-listen", address,
		"-ssh-agent", socket, "-key", serveAgent(t, socket))
	out, err := cmd.StderrPipe()
	check.NoError(t, err)
	check.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	verifierKey := ""
	printed := bufio.NewScanner(out)
	for verifierKey == "" && printed.Scan() {
		if found := regexp.MustCompile(`vkey="?([^"\s]+)`).FindStringSubmatch(printed.Text()); found != nil {
			verifierKey = found[1]
		}
	}
	go func() {
		for printed.Scan() { // its log must not fill the pipe
		}
	}()
	check.Within(t, time.Minute, "litewitness answers", func() error {
		response, err := http.Get("http://" + address + "/")
		if err == nil {
			err = response.Body.Close()
		}
		return err
	})
	// What its witnessctl does, whose module needs one that cannot be had any more.
	add := exec.Command("python3", "-c", `import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=30)
db.execute("insert into log values (?, 0, '47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=')", (sys.argv[2],))
db.execute("insert into key values (?, ?)", (sys.argv[2], sys.argv[3]))
db.commit()`, database, log.Name(), log.Text)
	if out, err := add.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return served{url: "http://" + address, key: verifierKey}
}

// stranger builds a program of somebody else that a module in tools pins.
func stranger(t *testing.T, module, path string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), module)
	build := exec.Command("go", "build", "-trimpath", "-mod=readonly", "-o", program, path)
	build.Dir = "../../tools/" + module
	build.Env = append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Skipf("SKIP: %s cannot be built: %v: %.500s", module, err, out)
	}
	return program
}

// serveAgent is an agent of SSH with one key, whose fingerprint it returns: litewitness has its key
// there.
func serveAgent(t *testing.T, socket string) string {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	check.NoError(t, err)
	keyring := agent.NewKeyring()
	check.NoError(t, keyring.Add(agent.AddedKey{PrivateKey: private}))
	listener, err := net.Listen("unix", socket)
	check.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { _ = agent.ServeAgent(keyring, conn) }()
		}
	}()
	signer, err := ssh.NewSignerFromKey(private)
	check.NoError(t, err)
	return ssh.FingerprintSHA256(signer.PublicKey())
}
