package witness_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/internal/auditlog"
	"github.com/gatehouse/gatehouse/internal/auditlog/auditlogtest"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/witness"
)

// The test's own program is also the witness that is killed.
func TestMain(m *testing.M) {
	if folder := os.Getenv("GATEHOUSE_TEST_WITNESS"); folder != "" {
		fmt.Println(serveUntilKilled(folder, os.Getenv("GATEHOUSE_TEST_LOG")))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func serveUntilKilled(folder, log string) error {
	w, err := witness.Open(folder, []string{log}, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("http://" + listener.Addr().String())
	return w.Serve(context.Background(), listener)
}

// child is a witness in a process of its own.
type child struct {
	*exec.Cmd
	url string
}

func start(t *testing.T, folder, log string) (child, string) {
	t.Helper()
	self, err := os.Executable()
	check.NoError(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "GATEHOUSE_TEST_WITNESS="+folder, "GATEHOUSE_TEST_LOG="+log)
	out, err := cmd.StdoutPipe()
	check.NoError(t, err)
	check.NoError(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	check.NoError(t, err)
	line = strings.TrimSpace(line)
	if !strings.HasPrefix(line, "http://") {
		_ = cmd.Wait()
		return child{}, line
	}
	return child{cmd, line}, ""
}

func (c child) kill() {
	_ = c.Process.Kill()
	_ = c.Wait()
}

// G7, R70: a log that has signed two histories, and a witness that is killed at any point: one of
// them is cosigned, and never the other.
func TestKilled(t *testing.T) {
	key := auditlogtest.LogKey(t, origin)
	folder := newFolder(t)
	histories := []*auditlogtest.Log{logOf(t, 0, ""), logOf(t, 0, "")}
	for i := range 400 {
		for fork, l := range histories {
			leaf := fmt.Sprint("leaf ", i)
			if i >= 3 {
				leaf += fmt.Sprint(" of ", fork)
			}
			l.Add(t, []byte(leaf))
		}
	}
	own := map[int]int{} // how often each history was cosigned beyond what they share
	last := int64(0)
	for round := range 12 {
		c, why := start(t, folder, key.Text)
		if why != "" {
			t.Fatal(why)
		}
		cosigned := make(chan [2]int64, 1000)
		go ask(c.url, histories, key, t, last, cosigned)
		for range rand.IntN(25) + 1 {
			said := <-cosigned
			if said[1] < last {
				t.Fatalf("round %d: size %d was cosigned after size %d", round, said[1], last)
			}
			if last = said[1]; last > 3 {
				own[int(said[0])]++
			}
		}
		c.kill()
		for said := range cosigned {
			if last = said[1]; last > 3 {
				own[int(said[0])]++
			}
		}
	}
	if len(own) != 1 {
		t.Errorf("cosigned of each history, up to size %d: %v", last, own)
	}
}

// ask offers the next sizes of both histories in turn until the witness is gone.
func ask(url string, histories []*auditlogtest.Log, key auditlogtest.Key, t *testing.T, from int64, cosigned chan<- [2]int64) {
	defer close(cosigned)
	for i := 0; ; i++ {
		fork := i % 2
		l, to := histories[fork], min(from+1+int64(i%3)%2, 400)
		var proof []auditlog.Hash
		if 0 < from && from < to {
			proof = l.Consistency(t, from, to)
		}
		response, err := http.Post(url+"/add-checkpoint", "", strings.NewReader(body(from, proof, l.Checkpoint(t, to, key))))
		if err != nil {
			return
		}
		var text [200]byte
		n, _ := response.Body.Read(text[:])
		_ = response.Body.Close()
		switch response.StatusCode {
		case http.StatusOK:
			from = to
			cosigned <- [2]int64{int64(fork), to}
		case http.StatusConflict:
			if from, err = strconv.ParseInt(strings.TrimSpace(string(text[:n])), 10, 64); err != nil {
				return
			}
		}
	}
}

// A second process is refused, and the folder is free when the first one was killed.
func TestTwoProcesses(t *testing.T) {
	key := auditlogtest.LogKey(t, origin)
	folder := newFolder(t)
	first, why := start(t, folder, key.Text)
	if why != "" {
		t.Fatal(why)
	}
	defer first.kill()
	if second, why := start(t, folder, key.Text); !strings.Contains(why, "another process has it") {
		second.kill()
		t.Fatalf("a second process: %q", why)
	}
	first.kill()
	third, why := start(t, folder, key.Text)
	if why != "" {
		t.Fatalf("after the first one: %s", why)
	}
	third.kill()
	if left, err := filepath.Glob(filepath.Join(folder, "*")); err != nil || len(left) != 2 { // key and lock
		t.Errorf("%v, %v", left, err)
	}
}
